import type { RedisNames } from '@tiercel/contracts';
import type { Redis } from '@tiercel/runtime';

/** Longer than scrapers pause: an API that died leaves its turn to another one after this. */
const TURN_MS = 180_000;

/**
 * Which API process shows what belongs to no process alone, so that sums over all processes are right: the
 * first one that is scraped, as long as it is scraped. While Redis is away it stays what it was.
 */
export class MetricsTurn {
  readonly #redis: Redis;
  readonly #key: string;
  readonly #me: string;
  #isMine = false;

  /** @param me a name that no other process has */
  constructor(redis: Redis, names: RedisNames, me: string) {
    this.#redis = redis;
    this.#key = names.metricsTurn;
    this.#me = me;
  }

  /** Asked at each scrape. */
  async isMine(): Promise<boolean> {
    try {
      await this.#redis.set(this.#key, this.#me, 'PX', TURN_MS, 'NX');
      this.#isMine = (await this.#redis.get(this.#key)) === this.#me;
      if (this.#isMine) await this.#redis.pexpire(this.#key, TURN_MS);
    } catch {
      // Told by others; who shows what is not to change for it.
    }
    return this.#isMine;
  }

  /** A process that stops lets the next one take over at once. */
  async release(): Promise<void> {
    if (this.#isMine && (await this.#redis.get(this.#key)) === this.#me) {
      await this.#redis.del(this.#key);
    }
  }
}
