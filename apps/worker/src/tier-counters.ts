import {
  type BreakerState,
  countAttempt,
  createTierCounts,
  type TierCounts,
} from '@tiercel/contracts';
import type { RouterObserver, Tier, TierStateStore } from '@tiercel/routing';
import type { Clock, TierReading } from '@tiercel/runtime';

/** Counts what the router does, by tier. */
export class TierCounters implements RouterObserver {
  readonly #tiers: readonly Tier[];
  readonly #tierStates: TierStateStore;
  readonly #clock: Clock;
  readonly #counts = new Map<string, TierCounts>();

  constructor(tiers: readonly Tier[], tierStates: TierStateStore, clock: Clock) {
    this.#tiers = tiers;
    this.#tierStates = tierStates;
    this.#clock = clock;
  }

  attempted(tier: string, result: string, ms: number): void {
    countAttempt(this.#of(tier), result, ms / 1000);
  }

  served(tier: string, { degraded, cached }: { degraded: boolean; cached: boolean }): void {
    const counts = this.#of(tier);
    counts.served += 1;
    if (degraded) counts.degraded += 1;
    if (cached) counts.cached += 1;
  }

  /** Every tier as it is now. */
  async read(): Promise<TierReading[]> {
    const shared = this.#tiers.filter(({ backend }) => backend.isLocal !== true);
    const states = await this.#tierStates.read(shared.map(({ backend }) => backend.name));
    const now = this.#clock.now();
    return this.#tiers.map(({ backend: { name } }) => {
      const openUntilMs = states.get(name)?.openUntilMs ?? 0;
      const breaker: BreakerState =
        openUntilMs === 0 ? 'closed' : openUntilMs > now ? 'open' : 'half_open';
      return { tier: name, breaker, counts: this.#of(name) };
    });
  }

  #of(tier: string): TierCounts {
    const counts = this.#counts.get(tier) ?? createTierCounts();
    this.#counts.set(tier, counts);
    return counts;
  }
}
