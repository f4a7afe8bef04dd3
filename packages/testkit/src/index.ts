export { makeTempFolder, onStopEverything, stopEverything, stopOwn } from './cleanup.ts';
export { connectSocket, type EventRecorder, type SocketOptions } from './event-recorder.ts';
export type { FakeComfyUiOptions } from './fake-comfyui/options.ts';
export { startFakeComfyUi, type FakeComfyUi } from './fake-comfyui/start.ts';
export { startFakeAutomatic1111 } from './fake-services/automatic1111.ts';
export { startFakeCloudflare } from './fake-services/cloudflare.ts';
export { expectedClass, type Expectation } from './fake-services/expected-classes.ts';
export { FAKE_FAULTS, type FakeFault } from './fake-services/faults.ts';
export { startFakeOpenAi } from './fake-services/openai.ts';
export { startFakePollinations } from './fake-services/pollinations.ts';
export type { FakeService } from './fake-services/service.ts';
export { startFakeTurbo } from './fake-services/turbo.ts';
export type { WireRequest } from './fake-services/wire.ts';
export { fileOf, plainJob } from './inputs.ts';
export { isAlive, spawnProcess, type SpawnedProcess } from './spawned-process.ts';
export type { Frame, PreviewFrame } from './frames.ts';
export {
  jpegWithTexts,
  movieWithComment,
  movieWithTexts,
  pngWithTexts,
  webmWithTexts,
  webpWithTexts,
} from './media-files.ts';
export { startRedisProxy, type RedisProxy } from './redis-proxy.ts';
export { connectRaw } from './raw-connection.ts';
export { http, type RawHttp, type RawResponse } from './raw-http.ts';
export { findDeadUrl, serveHttp } from './serve-http.ts';
export {
  shiftClock,
  startApi,
  startSystem,
  startWorker,
  type ServiceOptions,
  type SystemOptions,
  type TestSystem,
} from './services.ts';
export { startTestRedis, type TestRedis } from './test-redis.ts';
export { until } from './until.ts';
export { expectNothingFor, letTimePass } from './waiting.ts';
export {
  distinctWebhooks,
  startWebhookReceiver,
  type ReceivedWebhook,
} from './webhook-receiver.ts';
