import { AttemptError } from '@tiercel/routing';
import type { ImageRequest, ImageService, ServedImages, ServiceContext } from './image-service.ts';

/**
 * Asks a service for pictures. Out of memory with several pictures is tried once more in two halves, as
 * docs/fallback.md says; the results are joined.
 * @param maySplit whether the caller's policy allows it
 */
export async function generateWithin(
  service: ImageService,
  request: ImageRequest,
  context: ServiceContext,
  maySplit: boolean,
): Promise<ServedImages> {
  try {
    return await service.generate(request, context);
  } catch (error) {
    const isTooMuch = error instanceof AttemptError && error.isOutOfMemory && request.batch > 1;
    if (!maySplit || !isTooMuch) throw error;
  }
  const first = Math.ceil(request.batch / 2);
  const parts: ServedImages[] = [];
  for (const [from, to] of [
    [0, first],
    [first, request.batch],
  ] as const) {
    const init =
      request.init?.length === request.batch ? request.init.slice(from, to) : request.init;
    const seed =
      request.seed === undefined
        ? undefined
        : BigInt.asUintN(64, BigInt(request.seed) + BigInt(from));
    const half = { ...request, seed: from === 0 ? request.seed : seed, batch: to - from, init };
    const [start, share] = [from / request.batch, (to - from) / request.batch];
    parts.push(
      await service.generate(half, {
        ...context,
        onProgress: (fraction, preview) => {
          context.onProgress(start + fraction * share, preview);
        },
      }),
    );
  }
  return {
    images: parts.flatMap(({ images }) => images),
    model: parts[0]?.model ?? service.model,
    dropped: parts.flatMap(({ dropped }) => dropped),
    changed: [
      ...parts.flatMap(({ changed }) => changed),
      { param: 'batch', asked: request.batch, used: `${first} at once` },
    ],
  };
}
