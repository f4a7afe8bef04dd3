import sharp from 'sharp';
import { NodeError } from '../node-error.ts';
import type { ImageBatch, MaskBatch } from '../values.ts';
import { checkPixels, toSamples } from './create-image.ts';

/** The mask of a picture without transparency, as ComfyUI's LoadImage gives it. */
const EMPTY_MASK_SIZE = 64;

/**
 * Decodes a picture file as ComfyUI's LoadImage does: EXIF rotation applied, colours as stored (no colour
 * management), alpha dropped from the image and given inverted as the mask, every frame of an animation.
 * @throws NodeError when the bytes are no picture or have too many pixels
 */
export async function decodeImage(
  file: Uint8Array,
  maxPixels: number,
): Promise<{ image: ImageBatch; mask: MaskBatch }> {
  const { data, info } = await readPixels(file, maxPixels);
  const { width, channels } = info;
  const count = info.pages ?? 1;
  const height = info.pageHeight ?? info.height;
  const hasAlpha = (channels === 2 || channels === 4) && !isOpaquePng(file);

  const images: Float32Array[] = [];
  const masks: Float32Array[] = [];
  const pixels = width * height;
  for (let frame = 0; frame < count; frame += 1) {
    const page = data.subarray(frame * pixels * channels, (frame + 1) * pixels * channels);
    images.push(toSamples(channels === 3 ? page : toRgb(page, channels)));
    if (hasAlpha) masks.push(invertAlpha(page, channels));
  }
  return {
    image: { kind: 'image', width, height, channels: 3, frames: images },
    mask: hasAlpha
      ? { kind: 'mask', width, height, frames: masks }
      : {
          kind: 'mask',
          width: EMPTY_MASK_SIZE,
          height: EMPTY_MASK_SIZE,
          frames: images.map(() => new Float32Array(EMPTY_MASK_SIZE ** 2)),
        },
  };
}

/**
 * Decodes one picture as RGB, scaled to a size when it has another one; what stands over is cut off evenly.
 * @returns the picture, and the size it had
 * @throws NodeError when the bytes are no picture or have too many pixels
 */
export async function decodePicture(
  file: Uint8Array,
  size: { readonly width: number; readonly height: number },
  maxPixels: number,
): Promise<{ picture: ImageBatch; from: { width: number; height: number } }> {
  const options = { ignoreIcc: true, limitInputPixels: maxPixels, failOn: 'truncated' } as const;
  const from = await translate(sharp(file, options).metadata());
  checkPixels(from.width, from.height, 1, maxPixels);
  const { width, height } = size;
  const isFit = from.width === width && from.height === height;
  const input = sharp(file, options).removeAlpha().toColourspace('srgb');
  const fitted = isFit ? input : input.resize(width, height, { fit: 'cover', kernel: 'lanczos3' });
  const data = await translate(fitted.raw({ depth: 'uchar' }).toBuffer());
  const picture: ImageBatch = {
    ...{ kind: 'image', width, height, channels: 3 },
    frames: [toSamples(data)],
  };
  return { picture, from: { width: from.width, height: from.height } };
}

async function readPixels(file: Uint8Array, maxPixels: number) {
  const options = { ignoreIcc: true, limitInputPixels: maxPixels, failOn: 'truncated' } as const;
  const metadata = await translate(sharp(file, options).metadata());
  const pages = metadata.pages ?? 1;
  const pageHeight = metadata.pageHeight ?? metadata.height;
  checkPixels(metadata.width, pageHeight, pages, maxPixels);
  const animated = pages > 1 && (metadata.format === 'gif' || metadata.format === 'webp');
  // sharp cannot rotate a stack of pages, and no animation carries an EXIF orientation in practice.
  const input = animated
    ? sharp(file, { ...options, pages: -1 })
    : sharp(file, options).autoOrient();
  return translate(
    input.toColourspace('srgb').raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true }),
  );
}

async function translate<T>(reading: Promise<T>): Promise<T> {
  try {
    return await reading;
  } catch (cause) {
    throw new NodeError('cannot identify image file', {
      exceptionType: 'UnidentifiedImageError',
      cause,
    });
  }
}

/** Grey and RGB PNG with a transparent colour (tRNS): a mask for sharp, none for ComfyUI. */
function isOpaquePng(file: Uint8Array): boolean {
  const isPng = file[0] === 137 && file[1] === 80 && file[2] === 78 && file[3] === 71;
  return isPng && (file[25] === 0 || file[25] === 2);
}

function toRgb(page: Uint8Array, channels: number): Uint8Array {
  const grey = channels < 3;
  const rgb = new Uint8Array((page.length / channels) * 3);
  for (let from = 0, to = 0; from < page.length; from += channels, to += 3) {
    rgb[to] = page[from] ?? 0;
    rgb[to + 1] = page[grey ? from : from + 1] ?? 0;
    rgb[to + 2] = page[grey ? from : from + 2] ?? 0;
  }
  return rgb;
}

function invertAlpha(page: Uint8Array, channels: number): Float32Array {
  const mask = new Float32Array(page.length / channels);
  for (let i = 0; i < mask.length; i += 1) {
    mask[i] = 1 - Math.fround((page[(i + 1) * channels - 1] ?? 255) / 255);
  }
  return mask;
}
