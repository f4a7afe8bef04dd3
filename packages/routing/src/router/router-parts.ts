import type { FallbackPolicy, ServiceReport } from '@tiercel/contracts';
import type { Clock, Logger, SecretMask } from '@tiercel/runtime';
import type { AttemptResult } from '../backend.ts';
import type { Tier } from './attempt.ts';
import type { RouterObserver } from './observer.ts';
import type { StoredResults } from './stored-results.ts';
import type { TierStateStore } from './tier-state-store.ts';

export interface RoutingOptions {
  /** For jobs that do not say themselves. */
  readonly policy: FallbackPolicy;
  /** How long a job waits for a paused tier when no other can serve it, in ms. */
  readonly patienceMs: number;
}

export interface RouterParts {
  /** In the order of preference. */
  readonly tiers: readonly Tier[];
  readonly tierStates: TierStateStore;
  readonly clock: Clock;
  readonly options: RoutingOptions;
  readonly observer: RouterObserver;
  readonly log: Logger;
  /** Undefined when no results are stored. */
  readonly stored: StoredResults | undefined;
  /** Takes the secrets of the configuration out of errors; without it none are known. */
  readonly configMask?: SecretMask;
}

export interface RoutedResult {
  readonly result: AttemptResult;
  readonly report: ServiceReport;
}
