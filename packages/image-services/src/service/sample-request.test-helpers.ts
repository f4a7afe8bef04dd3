import type { ImageRequest, ServiceContext } from './image-service.ts';

/** One picture of 512 x 512, everything that text to image can name named. */
export function sampleRequest(changes: Partial<ImageRequest> = {}): ImageRequest {
  return {
    ...{ prompt: 'a lighthouse', negative: '', seed: 7, steps: 6, cfg: 1.5, guidance: undefined },
    ...{ sampler: 'euler', scheduler: 'normal', width: 512, height: 512, batch: 1, denoise: 1 },
    ...{ init: undefined, mask: undefined },
    ...changes,
  };
}

/** Nobody aborts, nobody listens. */
export function sampleContext(changes: Partial<ServiceContext> = {}): ServiceContext {
  return {
    signal: new AbortController().signal,
    timeoutMs: 20_000,
    onProgress: () => undefined,
    ...changes,
  };
}
