import type { RedisNames } from '@tiercel/contracts';
import { type Redis, untilServed } from '@tiercel/runtime';
import { LEASE_MS, RENEW_MS } from './lease.ts';
import { acquireSlotScript, type SlotReply } from './lua/acquire-slot.ts';
import { releaseSlotScript } from './lua/release-slot.ts';
import { NoSlot, SlotWaiter, WAIT_MS } from './slot-waiter.ts';

const NO_LIMIT = Number.MAX_SAFE_INTEGER;

export interface SlotCandidate {
  /** The key of its leases. */
  readonly resource: string;
  /** Below 2: breaks ties, never leads to a resource that has more to do. */
  readonly penalty: number;
}

/** Resources of which a slot would do now. */
export interface SlotChoice<Candidate extends SlotCandidate = SlotCandidate> {
  readonly candidates: readonly Candidate[];
  /** When to choose again at the latest. */
  readonly againInMs?: number;
}

/** A held slot. */
export interface Slot {
  /** Gives it back; further calls wait for the first. */
  release(): Promise<void>;
}

/** Slots of resources that are alike, such as servers, counted over all processes in Redis. */
export class ResourceSlots {
  readonly #redis: Redis;
  readonly #names: RedisNames;
  readonly #limit: number;
  readonly #waiters = new Set<SlotWaiter>();

  /** @param limit slots of each resource */
  constructor(redis: Redis, names: RedisNames, limit: number) {
    this.#redis = redis;
    this.#names = names;
    this.#limit = limit;
  }

  /**
   * Waits in order of arrival for a slot of the resource with the least to do.
   * @param choose which would do now: called before Redis is asked, each time; what it throws ends the waiting
   * @returns the candidate that it is of, with the slot; undefined when the signal was aborted meanwhile
   * @throws the signal's reason when it is aborted while Redis cannot serve
   */
  async acquireSlot<Candidate extends SlotCandidate>(
    choose: () => SlotChoice<Candidate>,
    signal: AbortSignal,
  ): Promise<(Candidate & { readonly slot: Slot }) | undefined> {
    const waiter = new SlotWaiter(this.#redis, this.#names);
    this.#waiters.add(waiter);
    try {
      return await waiter.acquireSlot(async () => {
        const { candidates, againInMs } = choose();
        waiter.standAt(candidates.map(({ resource }) => resource));
        if (candidates.length === 0) return new NoSlot(againInMs);
        const { lease, came: said } = waiter;
        const values = { lease, limit: this.#limit, said, wait_ms: WAIT_MS };
        const reply = await untilServed(() => this.#ask(candidates, values), { signal });
        waiter.came = reply.came;
        const candidate = candidates[reply.index ?? -1];
        if (candidate === undefined) return new NoSlot(reply.askInMs);
        waiter.settle();
        return { ...candidate, slot: this.#keep(candidate.resource, lease) };
      }, signal);
    } finally {
      this.#waiters.delete(waiter);
      // Not waited for: Redis may be away, and what is left runs out.
      waiter.leave().catch(() => undefined);
    }
  }

  /** Those that wait in this process choose again: what would do has changed. */
  chooseAgain(): void {
    for (const waiter of [...this.#waiters]) waiter.wake();
  }

  /**
   * A slot over the limit, to go on with what has begun there already.
   * @throws the signal's reason when it is aborted while Redis cannot serve
   */
  async acquireOver(resource: string, lease: string, signal: AbortSignal): Promise<Slot> {
    await untilServed(() => this.#takeOver(resource, lease), { signal });
    return this.#keep(resource, lease);
  }

  #keep(resource: string, lease: string): Slot {
    const renewal = setInterval(() => {
      this.#takeOver(resource, lease).catch(() => undefined);
    }, RENEW_MS);
    const giveBack = async (): Promise<void> => {
      clearInterval(renewal);
      const { prefix } = this.#names;
      await releaseSlotScript.run(this.#redis, { leases: resource, prefix, lease });
    };
    let released: Promise<void> | undefined;
    return { release: () => (released ??= giveBack()) };
  }

  /** A lease that ran out is taken anew: what it stands for goes on all the same. */
  #takeOver(resource: string, lease: string): Promise<SlotReply> {
    const values = { lease, limit: NO_LIMIT, said: '', wait_ms: 0 };
    return this.#ask([{ resource, penalty: 0 }], values);
  }

  #ask(
    candidates: readonly SlotCandidate[],
    values: {
      readonly lease: string;
      readonly limit: number;
      readonly said: string;
      readonly wait_ms: number;
    },
  ): Promise<SlotReply> {
    const resources = candidates.flatMap(({ resource, penalty }) => [resource, penalty]);
    const { prefix } = this.#names;
    return acquireSlotScript.run(this.#redis, {
      ...{ prefix, lease_ms: LEASE_MS, resources },
      ...values,
    });
  }
}
