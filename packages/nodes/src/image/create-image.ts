import { checkPictureSize, encodeJpeg as encode } from '@tiercel/pictures';
import type { ImageBatch } from '../values.ts';

/** The setting that bounds the pixels of nodes, for messages. */
export const PIXELS_SETTING = 'worker.maxPixels';

/** @throws PictureError when `count` pictures of that size are over the limit (all in pixels) */
export function checkPixels(width: number, height: number, count: number, maxPixels: number): void {
  const limits = { maxPixels, setting: PIXELS_SETTING };
  const what = count === 1 ? 'The picture' : 'The batch';
  checkPictureSize(what, { width, height, frames: count }, limits);
}

/**
 * Makes an image batch. With `fill`, called as fill(x, y, channel, frame), samples are computed (0..1);
 * without it the picture is black. RGB unless `channels` is 4.
 */
export function createImage(options: {
  width: number;
  height: number;
  channels?: 3 | 4;
  count?: number;
  fill?: (x: number, y: number, channel: number, frame: number) => number;
}): ImageBatch {
  const { width, height, channels = 3, count = 1, fill } = options;
  const frames: Float32Array[] = [];
  for (let frame = 0; frame < count; frame += 1) {
    const samples = new Float32Array(width * height * channels);
    if (fill) {
      let at = 0;
      for (let y = 0; y < height; y += 1) {
        for (let x = 0; x < width; x += 1) {
          for (let c = 0; c < channels; c += 1) samples[at++] = fill(x, y, c, frame);
        }
      }
    }
    frames.push(samples);
  }
  return { kind: 'image', width, height, channels, frames };
}

/** Encodes the first frame of an image as JPEG (alpha is dropped); quality 1 to 100. */
export async function encodeJpeg(image: ImageBatch, quality = 85): Promise<Uint8Array> {
  const [samples] = image.frames;
  if (!samples) throw new RangeError('an empty image has no JPEG');
  return encode({ ...image, samples }, quality);
}
