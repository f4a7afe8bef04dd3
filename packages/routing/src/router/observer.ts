/** Told what the router does, for metrics. */
export interface RouterObserver {
  /** `result`: `ok`, the class of the failure, or how else it ended (AttemptReport.class). */
  attempted(tier: string, result: string, ms: number): void;
  served(tier: string, facts: { readonly degraded: boolean; readonly cached: boolean }): void;
}
