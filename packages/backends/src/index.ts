export type {
  AttemptContext,
  AttemptListener,
  AttemptRequest,
  AttemptResult,
  Backend,
  PreviewPicture,
  Support,
} from './backend.ts';
export {
  AttemptError,
  AttemptStopped,
  JobError,
  mayTryNextTier,
  NOTHING,
  serviceError,
  Stopped,
  type AttemptClass,
  type PartialResult,
  type StopReason,
} from './failures.ts';
export {
  chooseTiers,
  RoutingFailed,
  TierRouter,
  type RoutedResult,
  type TierChoice,
  type TierState,
} from './router.ts';
export {
  createEmbeddedBackend,
  type EmbeddedBackendOptions,
} from './embedded/create-embedded-backend.ts';
export {
  createComfyUiBackend,
  type ComfyUiBackend,
  type PoolOffer,
} from './comfyui/create-comfyui-backend.ts';
export type { CacheKey } from './cache/cache-key.ts';
export type { CachedJob, CachedReport } from './cache/cached-job.ts';
export type { Flight } from './cache/flights.ts';
export { isCacheable, type CacheableRequest } from './cache/is-cacheable.ts';
export {
  ResultCache,
  type ResultCacheLimits,
  type ResultCacheOptions,
} from './cache/result-cache.ts';
