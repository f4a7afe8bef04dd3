import {
  decodeFrames,
  decodingBytes,
  inSlices,
  readHeader,
  toSamples,
  type RawFrame,
} from '@tiercel/pictures';
import type { NodeContext } from '../node-definition.ts';
import type { ImageBatch, MaskBatch } from '../values.ts';
import { PIXELS_SETTING } from './create-image.ts';
import { SAMPLE_BYTES, type FrameWork } from './frame-work.ts';

/** The mask of a picture without transparency, as ComfyUI's LoadImage gives it. */
const EMPTY_MASK_SIZE = 64;

/**
 * Decodes a picture file as ComfyUI's LoadImage does: EXIF rotation applied, colours as stored (no colour
 * management), alpha dropped from the image and given inverted as the mask, every frame that is as large as the
 * first. A file that ends too early is read as far as it goes.
 * @param file its name is what the caller calls it: messages name it
 * @param options `colourKey`: a colour that a PNG without alpha calls transparent makes a mask, too
 * @throws PictureError when the bytes are no picture or have too many pixels; MemoryLimitError; the signal's reason
 */
export async function loadPicture(
  file: { readonly name: string; readonly bytes: Uint8Array },
  context: Pick<NodeContext, 'maxPixels'> & FrameWork,
  options: { readonly colourKey?: boolean } = {},
): Promise<{ image: ImageBatch; mask: MaskBatch }> {
  const { signal } = context;
  const source = { name: file.name, content: file.bytes };
  const limits = { maxPixels: context.maxPixels, setting: PIXELS_SETTING };
  const header = await readHeader(source, limits);
  const { width, height } = header;
  const hasAlpha = header.hasAlpha || (options.colourKey === true && header.hasColourKey);
  await context.reserveMemory(decodingBytes(header, (hasAlpha ? 4 : 3) * SAMPLE_BYTES));

  const images: Float32Array[] = [];
  const masks: Float32Array[] = [];
  let isTransparent = header.format !== 'gif';
  for await (const frame of decodeFrames(source, header, signal)) {
    images.push(await readColours(frame, signal));
    if (!hasAlpha) continue;
    const { mask, isEmpty } = await readMask(frame, signal);
    masks.push(mask);
    // GIFs mark what has not changed as transparent, although nothing shines through.
    isTransparent ||= !isEmpty;
  }
  const image: ImageBatch = { kind: 'image', width, height, channels: 3, frames: images };
  if (hasAlpha && isTransparent)
    return { image, mask: { kind: 'mask', width, height, frames: masks } };
  const side = EMPTY_MASK_SIZE;
  const frames = images.map(() => new Float32Array(side ** 2));
  return { image, mask: { kind: 'mask', width: side, height: side, frames } };
}

async function readColours(
  { data, channels, width, height }: RawFrame,
  signal: AbortSignal,
): Promise<Float32Array> {
  if (channels === 3) return toSamples(data, signal);
  const samples = new Float32Array(width * height * 3);
  // Grey has one colour for all three.
  const [green, blue] = channels === 4 ? [1, 2] : [0, 0];
  await inSlices(
    width * height,
    (start, end) => {
      for (let i = start; i < end; i += 1) {
        const from = i * channels;
        samples[i * 3] = (data[from] ?? 0) / 255;
        samples[i * 3 + 1] = (data[from + green] ?? 0) / 255;
        samples[i * 3 + 2] = (data[from + blue] ?? 0) / 255;
      }
    },
    signal,
  );
  return samples;
}

async function readMask(
  { data, channels, width, height }: RawFrame,
  signal: AbortSignal,
): Promise<{ mask: Float32Array; isEmpty: boolean }> {
  const mask = new Float32Array(width * height);
  if (channels === 1 || channels === 3) return { mask, isEmpty: true };
  let isEmpty = true;
  await inSlices(
    mask.length,
    (start, end) => {
      for (let i = start; i < end; i += 1) {
        const alpha = data[(i + 1) * channels - 1] ?? 255;
        if (alpha < 255) isEmpty = false;
        mask[i] = 1 - Math.fround(alpha / 255);
      }
    },
    signal,
  );
  return { mask, isEmpty };
}
