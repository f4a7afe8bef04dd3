export { makeTempFolder, onStopEverything, stopEverything } from './cleanup.ts';
export { connectSocket, type EventRecorder, type SocketOptions } from './event-recorder.ts';
export type { FakeControl, FakeGarbage } from './fake-comfyui/control.ts';
export type { FakeComfyUiOptions } from './fake-comfyui/options.ts';
export { startFakeComfyUi, type FakeComfyUi } from './fake-comfyui/start.ts';
export type { FakeComfyUiState } from './fake-comfyui/state.ts';
export {
  startFakeAutomatic1111,
  type FakeAutomatic1111Options,
} from './fake-services/automatic1111.ts';
export { startFakeCloudflare, type FakeCloudflareOptions } from './fake-services/cloudflare.ts';
export type { FakeServiceOrder, FakeServiceState } from './fake-services/control.ts';
export { expectedClass, type Expectation } from './fake-services/expected-classes.ts';
export { FAKE_FAULTS, type FakeFault, type FakeFaultName } from './fake-services/faults.ts';
export { startFakeOpenAi, type FakeOpenAiOptions } from './fake-services/openai.ts';
export {
  startFakePollinations,
  type FakePollinationsOptions,
} from './fake-services/pollinations.ts';
export type { FakeService, FakeServiceOptions } from './fake-services/service.ts';
export { startFakeTurbo } from './fake-services/turbo.ts';
export type { WireFile, WireRequest } from './fake-services/wire.ts';
export { fileOf } from './file-of.ts';
export { isAlive } from './is-alive.ts';
export type { Frame, PreviewFrame, ProgressTextFrame, TextFrame, UnknownFrame } from './frames.ts';
export { startRedisProxy, type RedisProxy } from './redis-proxy.ts';
export { connectRaw, type RawConnection } from './raw-connection.ts';
export { http, type RawBody, type RawHttp, type RawOptions, type RawResponse } from './raw-http.ts';
export { findDeadUrl, serveHttp, type HttpServer } from './serve-http.ts';
export {
  shiftClock,
  startApi,
  startSystem,
  startWorker,
  type ServiceOptions,
  type SystemOptions,
  type TestSystem,
} from './services.ts';
export {
  spawnProcess,
  type ProcessEnd,
  type SpawnedProcess,
  type SpawnOptions,
} from './spawned-process.ts';
export { startTestRedis, type TestRedis, type TestRedisOptions } from './test-redis.ts';
export { until } from './until.ts';
