export type {
  AttemptContext,
  AttemptListener,
  AttemptRequest,
  AttemptResult,
  Backend,
  Support,
} from './backend.ts';
export {
  AttemptError,
  AttemptStopped,
  JobError,
  mayTryNextTier,
  NOTHING,
  serviceError,
  type AttemptClass,
  type PartialResult,
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
