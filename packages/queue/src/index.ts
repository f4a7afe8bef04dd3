export { Consumer, createClaimId, type ConsumerOptions, type NextTaker } from './consumer.ts';
export type { FinishReply } from './lua/finish.ts';
export type { TakenJob } from './lua/take-job.ts';
export { Editor } from './editor.ts';
export type { PermitLease } from './permit-lease.ts';
export { createPermitQueue } from './permits.ts';
export {
  DEFAULT_TENANT,
  Producer,
  type Accepted,
  type NewJob,
  type ProducerOptions,
} from './producer.ts';
export type { EndedJob, JobRecord, JobView } from './job-record.ts';
export { Reader, type JobsPageQuery, type RunningJob } from './reader.ts';
export { PermitRunner, type PermitRunnerOptions } from './runner.ts';
export { openSecrets, sealSecrets } from './secrets.ts';
export { Sweeper, type SweeperOptions } from './sweeper.ts';
