export { ERAS, type Era } from './eras.ts';
export {
  FALLBACK_POLICIES,
  isFallbackPolicy,
  OMITTABLE,
  type AttemptClass,
  type AttemptReport,
  type FallbackPolicy,
  type Omittable,
  type ParamChange,
  type ServiceReport,
} from './routing.ts';
export {
  deviceSchema,
  workerCapabilitiesSchema,
  type Device,
  type RefreshScope,
  type WorkerCapabilities,
} from './worker-capabilities.ts';
export {
  describeFleet,
  isServed,
  jobNeedsSchema,
  judgeJob,
  workerProfileSchema,
  type Fleet,
  type JobNeeds,
  type KnownProfile,
  type PoolRules,
  type WorkerProfile,
} from './fleet.ts';
export {
  ADDRESS_TENANT,
  ANONYMOUS_PLAN,
  DEFAULT_POOL,
  DEFAULT_TENANT,
  isRole,
  isTenantName,
  OPEN_CALLER,
  ROLES,
  type Caller,
  type Role,
} from './caller.ts';
export { AppError, ERRORS, isAppError, type ErrorCode } from './errors.ts';
export { clientKeyOf, jobIdOf, promptIdOf, scoped, unscoped } from './scoped.ts';
export { boundedFrame } from './bounded-frame.ts';
export {
  PICTURE_TYPE,
  plainNode,
  type ExecutionErrorData,
  type JobEvent,
  type NodeIdentity,
  type NodeProgress,
  type Preview,
  type ResultPicture,
  type TerminalEvent,
  type WireEvent,
} from './events.ts';
export {
  claimId,
  keyText,
  permitId,
  promptId,
  workerId,
  type ClaimId,
  type JobId,
  type PermitId,
  type PromptId,
  type WorkerId,
} from './ids.ts';
export {
  API_STATUS,
  JOB_STATES,
  type ApiJobStatus,
  type JobResult,
  type JobState,
  type NodeMeta,
} from './jobs.ts';
export {
  countJsonValues,
  isJsonObject,
  JsonTooLargeError,
  parseJson,
  stringifyJson,
  type JsonObject,
  type JsonValue,
} from './json.ts';
export { joinMembers, pythonFloat, sliceMembers, toPythonJson } from './json-text.ts';
export {
  mergeFeatures,
  mergeMembers,
  mergeModelLists,
  pickSystem,
  type ModelLists,
} from './server-facts.ts';
export type { InputSpec, NodeInfo, ObjectInfo } from './node-info.ts';
export {
  FILE_TYPES,
  isFileType,
  listOutputFiles,
  type FileType,
  type NewOutput,
  type OutputNaming,
  type OutputRef,
  type UiOutput,
} from './outputs.ts';
export {
  isLink,
  SECRET_MEMBERS,
  type NodeErrors,
  type PromptError,
  type PromptGraph,
  type PromptNode,
  type PromptRejection,
} from './prompt.ts';
export { costMicros, isFree, MICROS, type TierPrice, type TierUse } from './price.ts';
export { isPriority, PRIORITIES, type Priority } from './priorities.ts';
export { isRedisName, luaName, RedisNames } from './redis-names.ts';
export { sharedLuaFolder } from './shared-lua.ts';
export {
  addTierCounts,
  BREAKER_STATES,
  countAttempt,
  createTierCounts,
  TIER_LATENCY_BUCKETS,
  type BreakerState,
  type Durations,
  type TierCounts,
} from './tier-counts.ts';
export {
  decodeClient,
  encodeClient,
  frameText,
  joblessMessage,
  parseEventLine,
  parseEventMessage,
  type EventLine,
  type EventMessage,
} from './event-log.ts';
export {
  hideWebhook,
  isWebhookEvent,
  parseOutboxEntry,
  readWebhook,
  WEBHOOK_EVENTS,
  webhookType,
  type GivenWebhook,
  type OutboxEntry,
  type WebhookEvent,
} from './webhooks.ts';
