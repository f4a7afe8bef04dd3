import { randomUUID } from 'node:crypto';
import type { Tier } from './attempt.ts';
import { pause } from './pause.ts';
import type { BegunAttempt, TierStateStore } from './tier-state-store.ts';

/** How often a job asks for a place on a tier that is full. */
const POLL_MS = 25;

/** A job's way to a place on a tier; it waits at one tier at a time, where others count it. */
export class PlaceHunt {
  readonly #tierStates: TierStateStore;
  readonly #signal: AbortSignal;
  readonly #lease = randomUUID();
  #waitingAt: string | undefined;

  constructor(tierStates: TierStateStore, signal: AbortSignal) {
    this.#tierStates = tierStates;
    this.#signal = signal;
  }

  waitsAt(tier: string): boolean {
    return this.#waitingAt === tier;
  }

  /** `later` when there is no place now, after a short wait, or when its breaker has opened. */
  async enter(tier: Tier): Promise<BegunAttempt | undefined | 'later'> {
    const { backend, concurrency } = tier;
    if (backend.isLocal === true) return undefined;
    if (!this.waitsAt(backend.name)) await this.giveUp();
    const begun = await this.#tierStates.begin(
      backend.name,
      this.#lease,
      concurrency,
      this.#signal,
    );
    if (begun === 'full') {
      this.#waitingAt = backend.name;
      await pause(POLL_MS, this.#signal);
      return 'later';
    }
    if (begun === 'open') {
      this.#tierStates.forget();
      return 'later';
    }
    this.#waitingAt = undefined;
    return begun;
  }

  /** A place whatever the limit: the tier has the job already. */
  async enterOver({ backend }: Tier): Promise<BegunAttempt | undefined | 'later'> {
    if (backend.isLocal === true) return undefined;
    const begun = await this.#tierStates.begin(backend.name, this.#lease, 'over', this.#signal);
    return typeof begun === 'object' ? begun : 'later';
  }

  /** Waits nowhere any more. */
  async giveUp(): Promise<void> {
    const tier = this.#waitingAt;
    this.#waitingAt = undefined;
    if (tier !== undefined) await this.#tierStates.leave(tier, this.#lease);
  }
}
