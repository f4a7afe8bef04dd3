import { createHash, randomUUID } from 'node:crypto';
import type { Redis } from '@tiercel/runtime';

/** Whose holder has not said so for this long is free. */
const LEASE_MS = 15_000;
const RENEW_MS = 5_000;

/**
 * Which of the workers that listen to a server passes on what it says to everybody, so that it is passed on once.
 * Held in Redis while its worker lives; nothing is passed on for the moment that it takes another worker to notice.
 */
export class RelayLease {
  readonly #redis: Redis;
  readonly #key: string;
  readonly #holder = randomUUID();
  readonly #timer: NodeJS.Timeout;
  #isMine = false;

  /** @param url the server's; it may hold credentials, so only its hash is a name in Redis */
  constructor(redis: Redis, prefix: string, url: string) {
    this.#redis = redis;
    const hash = createHash('sha256').update(url).digest('hex').slice(0, 16);
    this.#key = `${prefix}:relay:${hash}`;
    this.#timer = setInterval(() => void this.#claim(), RENEW_MS);
    void this.#claim();
  }

  get isMine(): boolean {
    return this.#isMine;
  }

  /** Another worker may have it. */
  stop(): void {
    clearInterval(this.#timer);
    const wasMine = this.#isMine;
    this.#isMine = false;
    if (wasMine) this.#redis.del(this.#key).catch(() => undefined);
  }

  async #claim(): Promise<void> {
    try {
      this.#isMine = (await this.#take()) || (await this.#renew());
    } catch {
      this.#isMine = false; // another worker may have it by now
    }
  }

  async #take(): Promise<boolean> {
    return (await this.#redis.set(this.#key, this.#holder, 'PX', LEASE_MS, 'NX')) === 'OK';
  }

  async #renew(): Promise<boolean> {
    if ((await this.#redis.get(this.#key)) !== this.#holder) return false;
    return (await this.#redis.pexpire(this.#key, LEASE_MS)) === 1;
  }
}
