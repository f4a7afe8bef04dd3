import { scaleImage } from '../image/scale-image.ts';
import type { ImageBatch, MaskBatch } from '../values.ts';
import { eachRow } from './each-row.ts';

/** A mask as a grey picture. */
export async function spreadMask({ width, height, frames }: MaskBatch): Promise<ImageBatch> {
  const spread: Float32Array[] = [];
  for (const frame of frames) {
    const rgb = new Float32Array(frame.length * 3);
    await eachRow(height, (y) => {
      for (let i = y * width; i < (y + 1) * width; i += 1) {
        const value = frame[i] ?? 0;
        for (let c = 0; c < 3; c += 1) rgb[i * 3 + c] = value;
      }
    });
    spread.push(rgb);
  }
  return { kind: 'image', width, height, channels: 3, frames: spread };
}

/** A mask scaled as each channel of a picture is. */
export async function scaleMask(
  mask: MaskBatch,
  how: Parameters<typeof scaleImage>[1],
): Promise<MaskBatch> {
  const { width, height } = how;
  if (mask.width === width && mask.height === height) return mask;
  const scaled = await scaleImage(await spreadMask(mask), how);
  const frames: Float32Array[] = [];
  for (const rgb of scaled.frames) frames.push(await takeSamples(rgb, scaled, 0));
  return { kind: 'mask', width, height, frames };
}

/** One channel of a frame. */
async function takeSamples(
  frame: Float32Array,
  { width, height, channels }: Pick<ImageBatch, 'width' | 'height' | 'channels'>,
  channel: number,
): Promise<Float32Array> {
  const samples = new Float32Array(width * height);
  await eachRow(height, (y) => {
    for (let i = y * width; i < (y + 1) * width; i += 1) {
      samples[i] = frame[i * channels + channel] ?? 0;
    }
  });
  return samples;
}
