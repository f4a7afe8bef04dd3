import { randomUUID } from 'node:crypto';
import type { RedisNames } from '@tiercel/contracts';
import { type Redis, sleep } from '@tiercel/runtime';
import { leaveLinesScript } from './lua/leave-lines.ts';
import { type Sleeper, SlotWakeups } from './slot-wakeups.ts';

/**
 * How long a waiter counts that has not asked again. One that died keeps a slot from those behind it for so long
 * at most.
 */
export const WAIT_MS = 3_000;
/** A waiter asks at least so often: that renews it, and finds what no message said. */
const ASK_MS = 1_000;

/** There is no slot now. */
export class NoSlot {
  /** When to ask again at the latest, in ms. */
  readonly askInMs: number;

  constructor(askInMs = ASK_MS) {
    this.askInMs = askInMs;
  }
}

/**
 * One that wants a slot, and stands in line for it at one or more resources (keys of leases). It has the same
 * lease while it waits and when it has its slot, and keeps its turn whatever line it moves to.
 */
export class SlotWaiter implements Sleeper {
  readonly lease = randomUUID();
  /** When it came, in microseconds by Redis' clock, as the first answer said. To be said with each question. */
  came = '';
  readonly #redis: Redis;
  readonly #prefix: string;
  readonly #wakeups: SlotWakeups;
  #resources: readonly string[] = [];
  #isWoken = false;
  #endPause: (() => void) | undefined;

  constructor(redis: Redis, names: RedisNames) {
    this.#redis = redis;
    this.#prefix = names.prefix;
    this.#wakeups = SlotWakeups.of(redis, names.slotChannel);
  }

  waitsFor(resource: string): boolean {
    return this.#resources.includes(resource);
  }

  /** Has it ask now, or once more when it is just asking. */
  wake(): void {
    this.#isWoken = true;
    this.#endPause?.();
  }

  /**
   * Waits for a slot in order of arrival.
   * @param ask asks Redis (see `standAt`), and answers NoSlot to wait on or anything else to end the waiting; it
   *        gets whether something may have changed or just time has passed
   * @returns undefined when the signal was aborted meanwhile; then, and when what was found is no slot, the
   *          caller is to `leave`
   */
  async acquireSlot<T>(
    ask: (isNews: boolean) => Promise<T | NoSlot>,
    signal: AbortSignal,
  ): Promise<T | undefined> {
    for (let isNews = true; ;) {
      this.#isWoken = false;
      const found = await ask(isNews);
      if (!(found instanceof NoSlot)) return found;
      this.#wakeups.listen();
      await this.#pause(Math.min(Math.max(1, found.askInMs), ASK_MS), signal);
      if (signal.aborted) return undefined;
      isNews = this.#isWoken;
    }
  }

  /**
   * Says which resources are asked for next, before they are: messages about what is freed from then on wake it. Others are no
   * longer waited for. Commands keep their order, so nobody need wait for that.
   */
  standAt(resources: readonly string[]): void {
    const left = this.#resources.filter((resource) => !resources.includes(resource));
    this.#resources = resources;
    this.#wakeups.add(this);
    if (left.length > 0) this.#leave(left, { stays: true }).catch(() => undefined);
  }

  /** It has its slot: Redis has taken it out of all lines. */
  settle(): void {
    const resources = this.#forget();
    // What woke it in vain is for the next one.
    if (this.#isWoken) for (const resource of resources) this.#wakeups.wake(resource);
  }

  /** Waits nowhere any more; those behind it are woken. */
  async leave(): Promise<void> {
    const resources = this.#forget();
    if (resources.length > 0) await this.#leave(resources, { stays: false });
  }

  #forget(): readonly string[] {
    const resources = this.#resources;
    this.#resources = [];
    this.#wakeups.delete(this);
    return resources;
  }

  async #leave(resources: readonly string[], { stays }: { stays: boolean }): Promise<void> {
    await leaveLinesScript.run(this.#redis, {
      ...{ prefix: this.#prefix, lease: this.lease, stays: stays ? 1 : 0, resources },
    });
  }

  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    if (this.#isWoken || signal.aborted) return;
    const end = new AbortController();
    const stop = (): void => {
      end.abort();
    };
    this.#endPause = stop;
    signal.addEventListener('abort', stop);
    await sleep(ms, end.signal).catch(() => undefined);
    signal.removeEventListener('abort', stop);
    this.#endPause = undefined;
  }
}
