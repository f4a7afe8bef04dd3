import { AppError } from '@tiercel/contracts';
import sharp, { type Sharp } from 'sharp';
import { Slots } from './view-slots.ts';

// A cache of decoded operations only costs memory here: each picture is asked for differently.
sharp.cache(false);
// Uploads are decoded by the loaders of picture formats and by no other: SVG and PDF would make the
// renderer follow what a stranger wrote.
sharp.block({ operation: ['VipsForeignLoad'] });
sharp.unblock({
  operation: ['Png', 'Jpeg', 'Webp', 'Nsgif', 'Tiff', 'Heif'].map((it) => `VipsForeignLoad${it}`),
});

/** Decoded pictures in memory at once, per process. */
const MAX_AT_ONCE = 4;
const slots = new Slots(MAX_AT_ONCE);

/** The largest sides that the formats can hold, in pixels. */
const MAX_SIDE = { webp: 16_383, jpeg: 65_535, png: Infinity } as const;

export interface EncodedPicture {
  readonly type: 'image/webp' | 'image/jpeg' | 'image/png';
  readonly bytes: Uint8Array;
}

/** What /view is asked to make of a picture. */
export type Transform =
  | {
      readonly kind: 'preview';
      readonly format: 'webp' | 'jpeg';
      readonly quality: number;
      readonly alpha: 'keep' | 'drop';
    }
  | { readonly kind: 'rgb' }
  | { readonly kind: 'alpha' };

/**
 * Encodes a stored picture anew.
 * @throws AppError bad_request when the file is no picture, image_too_large above `maxPixels`
 */
export function transformPicture(
  path: string,
  transform: Transform,
  maxPixels: number,
): Promise<EncodedPicture> {
  return slots.run(async () => {
    const size = await measure(path, maxPixels);
    const format = transform.kind === 'preview' ? transform.format : 'png';
    if (Math.max(size.width, size.height) > MAX_SIDE[format]) throw tooLarge();
    const bytes = await asPicture(encode(path, transform, size, maxPixels));
    return { type: `image/${format}`, bytes };
  });
}

async function encode(
  path: string,
  transform: Transform,
  size: Size,
  maxPixels: number,
): Promise<Buffer> {
  const picture = open(path, maxPixels);
  switch (transform.kind) {
    case 'preview': {
      if (transform.alpha === 'drop') picture.removeAlpha();
      const { quality } = transform;
      return (
        transform.format === 'jpeg' ? picture.jpeg({ quality }) : picture.webp({ quality })
      ).toBuffer();
    }
    case 'rgb':
      return picture.removeAlpha().toColourspace('srgb').png().toBuffer();
    case 'alpha': {
      const black = { ...size, channels: 3, background: { r: 0, g: 0, b: 0 } } as const;
      const alpha = await alphaOf(picture);
      return sharp({ create: black, limitInputPixels: maxPixels })
        .joinChannel(alpha, { raw: { ...size, channels: 1 } })
        .png()
        .toBuffer();
    }
  }
}

/**
 * The picture at `path` with the alpha of the picture at `maskPath` in place of its own, as PNG.
 * @throws AppError bad_request when one is no picture or the sizes differ, image_too_large
 */
export function replaceAlpha(
  path: string,
  maskPath: string,
  maxPixels: number,
): Promise<Uint8Array> {
  return slots.run(async () => {
    const [size, maskSize] = [await measure(path, maxPixels), await measure(maskPath, maxPixels)];
    if (size.width !== maskSize.width || size.height !== maskSize.height) {
      throw new AppError('bad_request', 'The mask and the picture differ in size.');
    }
    return asPicture(
      (async () => {
        const alpha = await alphaOf(open(maskPath, maxPixels));
        const colours = await open(path, maxPixels)
          .removeAlpha()
          .toColourspace('srgb')
          .raw()
          .toBuffer();
        return sharp(colours, { raw: { ...size, channels: 3 }, limitInputPixels: maxPixels })
          .joinChannel(alpha, { raw: { ...size, channels: 1 } })
          .png({ compressionLevel: 4 })
          .toBuffer();
      })(),
    );
  });
}

interface Size {
  readonly width: number;
  readonly height: number;
}

/** Reads the header only, so that the limit is judged by numbers and not by an error's text. */
async function measure(path: string, maxPixels: number): Promise<Size> {
  const { width, height } = await asPicture(sharp(path, { limitInputPixels: false }).metadata());
  if (width * height > maxPixels) throw tooLarge();
  return { width, height };
}

function open(path: string, maxPixels: number): Sharp {
  return sharp(path, { limitInputPixels: maxPixels });
}

/** One byte a pixel; 255 everywhere for a picture without alpha. */
function alphaOf(picture: Sharp): Promise<Buffer> {
  return picture.ensureAlpha().extractChannel('alpha').raw().toBuffer();
}

/** sharp has one kind of error; behind a measured header it means a file that cannot be decoded. */
async function asPicture<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    throw new AppError('bad_request', 'The file is not a picture that can be read.', { cause });
  }
}

function tooLarge(): AppError {
  return new AppError('image_too_large', 'The picture has too many pixels.');
}
