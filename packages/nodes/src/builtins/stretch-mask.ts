import { interpolate } from '@tiercel/pictures';
import { SAMPLE_BYTES, type FrameWork } from '../image/frame-work.ts';
import type { MaskBatch } from '../values.ts';

/** The frames of a mask, as large as a picture; its own when it is that already. */
export async function stretchMask(
  mask: MaskBatch,
  { width, height }: { readonly width: number; readonly height: number },
  { reserveMemory, signal }: FrameWork,
): Promise<readonly Float32Array[]> {
  if (mask.width === width && mask.height === height) return mask.frames;
  const frames: Float32Array[] = [];
  for (const samples of mask.frames) {
    await reserveMemory(width * height * SAMPLE_BYTES);
    const plane = { width: mask.width, height: mask.height, channels: 1, samples };
    frames.push(await interpolate(plane, width, height, 'bilinear', signal));
  }
  return frames;
}
