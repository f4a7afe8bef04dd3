export type {
  AttemptContext,
  AttemptListener,
  AttemptRequest,
  AttemptResult,
  Backend,
  PreviewPicture,
  StoredPicture,
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
export { createServiceBackend } from './service/create-service-backend.ts';
export type { Tier } from './router/attempt.ts';
export type { RouterObserver } from './router/observer.ts';
export { describeAttempt, RoutingFailed } from './router/routing-failed.ts';
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
export { toPublicUrl } from './comfyui/public-url.ts';
export type {
  ImageParam,
  ImageRequest,
  ImageService,
  ImageWish,
  ServedImages,
  ServiceContext,
} from './service/image-service.ts';
export { sniffImage, type ImageFormat } from './service/sniff-image.ts';
export {
  createAutomatic1111Service,
  type Automatic1111Options,
} from './automatic1111/create-automatic1111-service.ts';
export {
  createCloudflareService,
  type CloudflareOptions,
} from './cloudflare/create-cloudflare-service.ts';
export { createOpenAiService, type OpenAiOptions } from './openai/create-openai-service.ts';
export {
  createPollinationsService,
  type PollinationsOptions,
} from './pollinations/create-pollinations-service.ts';
export { createTurboService, type TurboOptions } from './turbo/create-turbo-service.ts';
export { ResultCache } from './cache/result-cache.ts';
export { SharedResults } from './cache/shared-results.ts';
