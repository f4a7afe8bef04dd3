import sharp from 'sharp';
import type { ImageBatch } from '../values.ts';
import { toBytes } from './create-image.ts';

/** Encodes the first frame of an image as JPEG (alpha is dropped); quality 1 to 100. */
export async function encodeJpeg(image: ImageBatch, quality = 85): Promise<Uint8Array> {
  const [frame] = image.frames;
  if (!frame) throw new RangeError('an empty image has no JPEG');
  const { width, height, channels } = image;
  const input = sharp(toBytes(frame), { raw: { width, height, channels } });
  return (channels === 4 ? input.removeAlpha() : input).jpeg({ quality }).toBuffer();
}
