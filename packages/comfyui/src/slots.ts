import { RedisNames } from '@tiercel/contracts';
import { LEASE_MS, RENEW_MS } from '@tiercel/routing';
import { type Redis, startTimer, untilServed } from '@tiercel/runtime';
import { takeSlotScript } from './lua/take-slot.ts';

/** One prompt runs on a server and one waits there, so that its GPU never idles between two. */
const SLOTS_PER_SERVER = 2;

export interface SlotWish {
  readonly url: string;
  /** Below 2: breaks ties, never sends a job to a server that has more to do. */
  readonly penalty: number;
}

/** A held place on a server. */
export interface Slot {
  /** Gives it back; further calls wait for the first. */
  release(): Promise<void>;
}

/** Places on servers, counted over all workers in Redis. */
export class ServerSlots {
  readonly #redis: Redis;
  readonly #names: RedisNames;
  readonly #waiting = new Set<() => void>();

  constructor(redis: Redis, prefix: string) {
    this.#redis = redis;
    this.#names = new RedisNames(prefix);
  }

  /**
   * A place on the best of these servers; undefined when none has one left.
   * @throws the signal's reason when it is aborted while Redis cannot serve
   */
  async acquire(
    wishes: readonly SlotWish[],
    lease: string,
    signal: AbortSignal,
  ): Promise<{ url: string; slot: Slot } | undefined> {
    const take = (): Promise<number> => this.#take(wishes, lease, SLOTS_PER_SERVER);
    const index = await untilServed(take, { signal });
    const url = wishes[index - 1]?.url;
    return url === undefined ? undefined : { url, slot: this.#keep(url, lease) };
  }

  /**
   * A place over the limit, to go on with a prompt that is on that server already.
   * @throws the signal's reason when it is aborted while Redis cannot serve
   */
  async acquireOver(url: string, lease: string, signal: AbortSignal): Promise<Slot> {
    await untilServed(() => this.#takeOver(url, lease), { signal });
    return this.#keep(url, lease);
  }

  /** Resolves when this process gives a place back, or after `maxMs`: of other processes nobody tells. */
  freed(maxMs: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        resolve();
      };
      const timer = startTimer(wake, maxMs);
      this.#waiting.add(wake);
    });
  }

  #keep(url: string, lease: string): Slot {
    const renewal = setInterval(() => {
      this.#takeOver(url, lease).catch(() => undefined);
    }, RENEW_MS);
    const giveBack = async (): Promise<void> => {
      clearInterval(renewal);
      await this.#redis.zrem(this.#names.slots(url), lease);
      for (const wake of [...this.#waiting]) wake();
    };
    let released: Promise<void> | undefined;
    return { release: () => (released ??= giveBack()) };
  }

  /** A lease that ran out is taken anew: the prompt is there all the same. */
  #takeOver(url: string, lease: string): Promise<number> {
    return this.#take([{ url, penalty: 0 }], lease, Number.MAX_SAFE_INTEGER);
  }

  #take(wishes: readonly SlotWish[], lease: string, slots: number): Promise<number> {
    const servers = wishes.flatMap(({ url, penalty }) => [this.#names.slots(url), penalty]);
    return takeSlotScript.run(this.#redis, { lease, lease_ms: LEASE_MS, slots, servers });
  }
}
