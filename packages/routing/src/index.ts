export type {
  AttemptContext,
  AttemptListener,
  AttemptRequest,
  AttemptResult,
  Backend,
  BlamedNode,
  PreviewPicture,
  StoredPicture,
  Support,
  TierAttemptContext,
} from './backend.ts';
export { ResultCache } from './cache/result-cache.ts';
export { SharedResults } from './cache/shared-results.ts';
export {
  AttemptError,
  AttemptStopped,
  goesOnElsewhere,
  isClaimLost,
  JobError,
  mayTryNextTier,
  NOTHING,
  type PartialResult,
  PAUSES_MS,
  serviceError,
  Stopped,
  type StopReason,
} from './failures.ts';
export type { Tier } from './router/attempt.ts';
export type { RouterObserver } from './router/observer.ts';
export type { RoutedResult } from './router/router-parts.ts';
export { describeAttempt, RoutingFailed } from './router/routing-failed.ts';
export { expectFromOutputs, expectFromService, type Pictures } from './spending/expect-pictures.ts';
export { JobSpending, type TenantBudget } from './spending/job-spending.ts';
export { TierStateStore } from './router/tier-state-store.ts';
export { TierRouter } from './router/tier-router.ts';
