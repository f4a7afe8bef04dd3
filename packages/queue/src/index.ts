export { Consumer, createClaimId, type NextTaker } from './consumer.ts';
export type { FinishReply } from './lua/finish.ts';
export type { JobUsage } from './job-usage.ts';
export type { TakenJob } from './taken-job.ts';
export { Editor } from './editor.ts';
export { Kinds, needsText } from './kinds.ts';
export type { PermitLease } from './permit-lease.ts';
export { createPermitQueue } from './permits.ts';
export {
  Producer,
  type Accepted,
  type ExpectedCost,
  type NewJob,
  type Verdict,
} from './producer.ts';
export { EstimateErrors } from './forecast/estimate-errors.ts';
export type { Estimate } from './forecast/forecast.ts';
export { Forecaster } from './forecast/forecaster.ts';
export type { EndedJob, JobRecord, JobView } from './job-record.ts';
export { Reader } from './reader.ts';
export { PermitRunner } from './runner.ts';
export { Sweeper } from './sweeper.ts';
export type { TenantLimits } from './tenant-limits.ts';
export { createReplayKey } from './refusals.ts';
export { TenantLoads, type TenantLoad } from './tenant-loads.ts';
