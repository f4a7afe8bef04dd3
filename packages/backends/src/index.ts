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
  NOTHING,
  serviceError,
  Stopped,
  type AttemptClass,
  type PartialResult,
  type StopReason,
} from './failures.ts';
export type { Tier } from './router/attempt.ts';
export type { RouterObserver } from './router/observer.ts';
export { RoutingFailed } from './router/routing-failed.ts';
export { TierBoard } from './router/tier-board.ts';
export { TierRouter, type RoutedResult } from './router/tier-router.ts';
export {
  createEmbeddedBackend,
  type EmbeddedBackendOptions,
} from './embedded/create-embedded-backend.ts';
export {
  createComfyUiBackend,
  type ComfyUiBackend,
  type PoolOffer,
} from './comfyui/create-comfyui-backend.ts';
