import { RedisNames } from '@tiercel/contracts';
import type { Redis } from '@tiercel/runtime';
import { ResourceSlots, type Slot } from '@tiercel/slots';

/** One prompt runs on a server and one waits there, so that its GPU never idles between two. */
const SLOTS_PER_SERVER = 2;

export interface ServerCandidate {
  readonly url: string;
  /** Below 2: breaks ties, never sends a job to a server that has more to do. */
  readonly penalty: number;
}

/** Slots of servers, counted over all workers in Redis. */
export class ServerSlots {
  readonly #names: RedisNames;
  readonly #slots: ResourceSlots;

  constructor(redis: Redis, prefix: string) {
    this.#names = new RedisNames(prefix);
    this.#slots = new ResourceSlots(redis, this.#names, SLOTS_PER_SERVER);
  }

  /**
   * Waits in order of arrival for a slot on the best of the servers that can run the job; see ResourceSlots.
   * @param choose which these are now, and when to choose again at the latest; what it throws ends the waiting
   * @returns undefined when the signal was aborted meanwhile
   * @throws the signal's reason when it is aborted while Redis cannot serve
   */
  acquireSlot(
    choose: () => { candidates: readonly ServerCandidate[]; againInMs?: number },
    signal: AbortSignal,
  ): Promise<{ url: string; slot: Slot } | undefined> {
    return this.#slots.acquireSlot(() => {
      const { candidates, ...rest } = choose();
      const keyed = candidates.map((one) => ({ ...one, resource: this.#names.slots(one.url) }));
      return { candidates: keyed, ...rest };
    }, signal);
  }

  /** Jobs that wait in this process choose again: servers have come, gone or changed. */
  chooseAgain(): void {
    this.#slots.chooseAgain();
  }

  /**
   * A slot over the limit, to go on with a prompt that is on that server already.
   * @throws the signal's reason when it is aborted while Redis cannot serve
   */
  acquireOver(url: string, lease: string, signal: AbortSignal): Promise<Slot> {
    return this.#slots.acquireOver(this.#names.slots(url), lease, signal);
  }
}
