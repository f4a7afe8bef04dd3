import type { AttemptRequest, AttemptResult, Backend } from '../backend.ts';

/** What a stored result was, besides what it showed. */
export interface StoredResult {
  readonly result: AttemptResult;
  readonly degraded: boolean;
}

/** The first of several equal jobs runs, the others wait for its result. */
export type FlightOutcome =
  | { readonly kind: 'found'; readonly stored: StoredResult }
  /** This job runs; `end` with its result, or with undefined when it has none. */
  | { readonly kind: 'run'; end(stored: StoredResult | undefined): Promise<void> };

/** Results of equal jobs, shared by all workers. */
export interface StoredResults {
  /** A result of this backend for an equal job. */
  find(request: AttemptRequest, backend: Backend): Promise<StoredResult | undefined>;
  /**
   * Waits until no equal job runs on this backend.
   * @throws the signal's reason when it is aborted
   */
  singleFlight(
    request: AttemptRequest,
    backend: Backend,
    signal: AbortSignal,
  ): Promise<FlightOutcome>;
}
