import { NoSlot } from '@tiercel/slots';
import type { Tier } from './attempt.ts';
import { type BegunAttempt, FullTier, type TierStateStore } from './tier-state-store.ts';

/** What one job does for a slot: it counts as waiting for one tier at a time, and may stand in several lines. */
export class TierSlot {
  readonly #tierStates: TierStateStore;
  readonly #signal: AbortSignal;
  readonly #waiter;
  #waitingFor: { readonly tier: string; readonly ahead: number } | undefined;

  constructor(tierStates: TierStateStore, signal: AbortSignal) {
    this.#tierStates = tierStates;
    this.#signal = signal;
    this.#waiter = tierStates.createWaiter();
  }

  /** How many of those that wait for a tier come before this job. */
  countAhead(tier: string, waiting: number): number {
    if (this.#waitingFor?.tier !== tier) return waiting;
    return Math.max(0, Math.min(waiting - 1, this.#waitingFor.ahead));
  }

  /**
   * Waits for a slot of a tier in order of arrival.
   * @param chooseAgain asked each time but the first: tiers that would do as well, or undefined when
   *        this one is no longer the best
   * @returns undefined for a local tier, which has no slots; `later` when the tier is not the best any more, its
   *          breaker has opened, or the job is stopped
   * @throws the reason of the job's signal when it is aborted while Redis cannot serve
   */
  async acquireSlot(
    tier: Tier,
    equals: readonly string[],
    chooseAgain: () => Promise<readonly string[] | undefined>,
  ): Promise<BegunAttempt | undefined | 'later'> {
    const { name, isLocal } = tier.backend;
    if (isLocal === true) return undefined;
    if (this.#waitingFor !== undefined && this.#waitingFor.tier !== name) {
      await this.#tierStates.stopCounting(this.#waitingFor.tier, this.#waiter);
    }
    let others: readonly string[] | undefined = equals;
    let isFirst = true;
    const begun = await this.#waiter.acquireSlot<BegunAttempt | 'later'>(async (isNews) => {
      const wasFirst = isFirst;
      isFirst = false;
      if (!wasFirst) {
        if (isNews) this.#tierStates.forget();
        others = await chooseAgain();
      }
      if (others === undefined) return 'later';
      // An administrator may have changed the limit since the last look.
      const wish = { tier: name, concurrency: tier.concurrency, others };
      const found = await this.#tierStates.beginInTurn(this.#waiter, wish, this.#signal);
      const isFull = found instanceof FullTier;
      this.#waitingFor = isFull ? { tier: name, ahead: found.ahead } : undefined;
      if (found === 'open') {
        this.#tierStates.forget();
        return 'later';
      }
      if (!isFull || !wasFirst || others.length === 0) return found;
      // It was chosen by a reading that may not have known: another may have room.
      this.#tierStates.forget();
      return new NoSlot(0);
    }, this.#signal);
    return begun ?? 'later';
  }

  /** A slot whatever the limit: the tier has the job already. */
  async acquireOver({ backend }: Tier): Promise<BegunAttempt | undefined | 'later'> {
    if (backend.isLocal === true) return undefined;
    const { lease } = this.#waiter;
    const begun = await this.#tierStates.begin(backend.name, lease, 'over', this.#signal);
    return typeof begun === 'object' ? begun : 'later';
  }

  /** Waits nowhere any more. */
  async giveUp(): Promise<void> {
    const tier = this.#waitingFor?.tier;
    this.#waitingFor = undefined;
    if (tier !== undefined) await this.#tierStates.leave(tier, this.#waiter);
  }
}
