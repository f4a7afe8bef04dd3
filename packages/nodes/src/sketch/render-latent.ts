import { inSlices, interpolate } from '@tiercel/pictures';
import { SAMPLE_BYTES, type FrameWork } from '../image/frame-work.ts';
import type { LatentLayer, MaskPlane } from '../values.ts';
import { paintScene } from './paint.ts';
import { composeScene } from './scene.ts';

/** What an empty latent decodes to. */
const EMPTY_GREY = 0.5;

interface Size {
  readonly width: number;
  readonly height: number;
}

/**
 * Renders one latent frame at any size: interleaved RGB samples in 0..1.
 * @throws MemoryLimitError; the reason of the signal
 */
export async function renderLatent(
  layers: readonly LatentLayer[],
  size: Size,
  work: FrameWork,
): Promise<Float32Array> {
  const { width, height } = size;
  const { signal } = work;
  signal.throwIfAborted();
  let canvas: Float32Array | undefined;
  for (const layer of layers) {
    if (layer.kind === 'pixels') {
      const isFit = layer.width === width && layer.height === height;
      canvas = isFit ? layer.samples : await stretch({ ...layer, channels: 3 }, size, work);
      continue;
    }
    await work.reserveMemory(width * height * 3 * SAMPLE_BYTES);
    const painted = await paintScene(composeScene(layer.recipe), width, height, signal);
    const mask = layer.mask && (await stretchMask(layer.mask, size, work));
    if (mask) canvas ??= await createEmptyCanvas(size, work);
    if (canvas && (mask || layer.weight < 1)) {
      await mixInto(painted, canvas, { mask, weight: layer.weight }, signal);
    }
    canvas = painted;
  }
  return canvas ?? createEmptyCanvas(size, work);
}

/** What lies below shows where the mask and the weight let it. */
function mixInto(
  painted: Float32Array,
  canvas: Float32Array,
  { mask, weight }: { mask: Float32Array | undefined; weight: number },
  signal: AbortSignal,
): Promise<void> {
  return inSlices(
    painted.length,
    (start, end) => {
      for (let i = start; i < end; i += 1) {
        const share = mask ? weight * (mask[(i / 3) | 0] ?? 0) : weight;
        painted[i] = (canvas[i] ?? 0) * (1 - share) + (painted[i] ?? 0) * share;
      }
    },
    signal,
  );
}

async function createEmptyCanvas(
  { width, height }: Size,
  { reserveMemory, signal }: FrameWork,
): Promise<Float32Array> {
  const length = width * height * 3;
  await reserveMemory(length * SAMPLE_BYTES);
  const canvas = new Float32Array(length);
  await inSlices(
    length,
    (start, end) => {
      canvas.fill(EMPTY_GREY, start, end);
    },
    signal,
  );
  return canvas;
}

async function stretchMask(mask: MaskPlane, size: Size, work: FrameWork): Promise<Float32Array> {
  if (mask.width === size.width && mask.height === size.height) return mask.samples;
  return stretch({ ...mask, channels: 1 }, size, work);
}

async function stretch(
  plane: MaskPlane & { readonly channels: number },
  { width, height }: Size,
  { reserveMemory, signal }: FrameWork,
): Promise<Float32Array> {
  await reserveMemory(width * height * plane.channels * SAMPLE_BYTES);
  return interpolate(plane, width, height, 'bilinear', signal);
}
