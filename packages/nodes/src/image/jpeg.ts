import { encodeJpeg as encode } from '@tiercel/pictures';
import type { ImageBatch } from '../values.ts';

/** Encodes the first frame of an image as JPEG (alpha is dropped); quality 1 to 100. */
export async function encodeJpeg(image: ImageBatch, quality = 85): Promise<Uint8Array> {
  const [samples] = image.frames;
  if (!samples) throw new RangeError('an empty image has no JPEG');
  return encode({ ...image, samples }, quality);
}
