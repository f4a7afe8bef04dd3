import { readFile } from 'node:fs/promises';
import type { Sharp } from 'sharp';
import { decodeBmp } from '../decode/bmp.ts';
import { openingBytes } from '../decode/decode-memory.ts';
import { openBlack, openPicture, openRaw } from '../decode/open-picture.ts';
import {
  type PictureHeader,
  type PictureSource,
  readHeader,
  unreadable,
} from '../decode/read-header.ts';
import { PictureError } from '../picture-error.ts';
import type { PictureLimits } from '../picture-limits.ts';
import type { MemoryAccount, MemoryBudget } from '../work/memory-budget.ts';
import { runNative } from '../work/native-turns.ts';

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

export interface EncodedPicture {
  readonly type: 'image/webp' | 'image/jpeg' | 'image/png';
  readonly bytes: Uint8Array;
  /** To be called when nobody holds the bytes any more: until then their memory counts. */
  readonly release: () => void;
}

/** The largest sides that the formats can hold, in pixels. */
const MAX_SIDE = { webp: 16_383, jpeg: 65_535, png: Infinity } as const;
/** WebP pictures above it are compressed with less effort: in a third of the time, and two thirds of the memory. */
const LARGE_WEBP_PIXELS = 4 * 1024 * 1024;
const LOW_EFFORT = 2;
const PNG_LEVEL = 4;

/** Encodes stored pictures anew, as many at once as there is memory for. */
export class PictureEditor {
  readonly #limits: PictureLimits;
  readonly #memory: MemoryBudget;

  constructor(options: { limits: PictureLimits; memory: MemoryBudget }) {
    this.#limits = options.limits;
    this.#memory = options.memory;
  }

  /**
   * @param signal ends the waiting for memory
   * @throws PictureError; MemoryLimitError when it takes more than there may be; the reason of the signal
   */
  transform(
    source: PictureSource,
    transform: Transform,
    signal?: AbortSignal,
  ): Promise<EncodedPicture> {
    return this.#withAccount(async (account) => {
      const header = await readHeader(source, this.#limits, 'first');
      const format = transform.kind === 'preview' ? transform.format : 'png';
      checkSides(source.name, header, format);
      const bytes = openingBytes(header) + encodingBytes(header, transform) + bmpBytes(header);
      await account.reserve(bytes, signal);
      const encoded = await this.#run(source, header, () =>
        this.#encode(source, header, transform),
      );
      return { type: `image/${format}`, bytes: encoded };
    });
  }

  /**
   * The picture with the alpha of another one, of the same size, in place of its own, as PNG.
   * @throws as transform; PictureError too when the sizes differ
   */
  replaceAlpha(
    source: PictureSource,
    mask: PictureSource,
    signal?: AbortSignal,
  ): Promise<EncodedPicture> {
    return this.#withAccount(async (account) => {
      const header = await readHeader(source, this.#limits, 'first');
      const maskHeader = await readHeader(mask, this.#limits, 'first');
      const { width, height } = header;
      if (width !== maskHeader.width || height !== maskHeader.height) {
        const sizes = `${maskHeader.width}x${maskHeader.height}, ${source.name} is ${width}x${height}`;
        throw new PictureError(
          'size_differs',
          `The mask must be as large as the picture: ${mask.name} is ${sizes}.`,
        );
      }
      const opening = Math.max(openingBytes(header), openingBytes(maskHeader));
      const files = bmpBytes(header) + bmpBytes(maskHeader);
      // Colours and alpha as bytes, and the PNG, which is no larger than both.
      await account.reserve(opening + files + width * height * (4 + 4), signal);
      const alpha = await this.#run(mask, maskHeader, async () =>
        readAlpha(await openShown(mask, maskHeader, this.#limits)),
      );
      const bytes = await this.#run(source, header, async () => {
        const picture = await openShown(source, header, this.#limits);
        const colours = await picture.removeAlpha().toColourspace('srgb').raw().toBuffer();
        return openRaw({ width, height, channels: 3, data: colours })
          .joinChannel(alpha, { raw: { width, height, channels: 1 } })
          .png({ compressionLevel: PNG_LEVEL })
          .toBuffer();
      });
      return { type: 'image/png', bytes };
    });
  }

  async #withAccount(
    work: (account: MemoryAccount) => Promise<Omit<EncodedPicture, 'release'>>,
  ): Promise<EncodedPicture> {
    const account = this.#memory.open();
    try {
      const encoded = await work(account);
      await account.settle(encoded.bytes.byteLength);
      return {
        ...encoded,
        release: () => {
          account.close();
        },
      };
    } catch (error) {
      account.close();
      throw error;
    }
  }

  /** Behind a header that was read, an error of libvips means data that cannot be decoded. */
  async #run<T>(
    { name }: PictureSource,
    { width, height, format }: PictureHeader,
    work: () => Promise<T>,
  ): Promise<T> {
    try {
      return await runNative(width * height, work);
    } catch (cause) {
      if (cause instanceof Error && cause.message.startsWith('webpsave'))
        throw notAsWebp(name, cause);
      throw unreadable(name, format, cause);
    }
  }

  async #encode(
    source: PictureSource,
    header: PictureHeader,
    transform: Transform,
  ): Promise<Uint8Array> {
    const picture = await openShown(source, header, this.#limits);
    const { width, height } = header;
    switch (transform.kind) {
      case 'preview': {
        if (transform.alpha === 'drop') picture.removeAlpha();
        const { quality } = transform;
        if (transform.format === 'jpeg') return picture.jpeg({ quality }).toBuffer();
        const isLarge = width * height > LARGE_WEBP_PIXELS;
        return picture.webp({ quality, ...(isLarge && { effort: LOW_EFFORT }) }).toBuffer();
      }
      case 'rgb':
        return picture.removeAlpha().toColourspace('srgb').png().toBuffer();
      case 'alpha': {
        const alpha = await readAlpha(picture);
        return openBlack(width, height)
          .joinChannel(alpha, { raw: { width, height, channels: 1 } })
          .png()
          .toBuffer();
      }
    }
  }
}

function checkSides(
  name: string,
  { width, height }: PictureHeader,
  format: keyof typeof MAX_SIDE,
): void {
  if (Math.max(width, height) <= MAX_SIDE[format]) return;
  throw notAsWebp(name, undefined);
}

function notAsWebp(name: string, cause: unknown): PictureError {
  const message = `${name} is too large for WebP. Ask for preview=jpeg, or for the file itself.`;
  return new PictureError('too_large', message, { cause });
}

/** Bytes of memory that writing the picture takes, its file included (measured as in decode-memory.ts). */
function encodingBytes({ width, height, channels }: PictureHeader, transform: Transform): number {
  const pixels = width * height;
  if (transform.kind !== 'preview') return pixels * (transform.kind === 'rgb' ? 4 : 6);
  if (transform.format === 'jpeg') return pixels * 8;
  const isAlphaKept = (channels === 2 || channels === 4) && transform.alpha === 'keep';
  if (pixels > LARGE_WEBP_PIXELS) return pixels * (isAlphaKept ? 21 : 7);
  return pixels * (isAlphaKept ? 31 : 12);
}

/** A BMP is read whole and decoded before it is encoded. */
function bmpBytes({ bmp, fileBytes, width, height, channels }: PictureHeader): number {
  return bmp === undefined ? 0 : fileBytes + width * height * channels;
}

/** Opens the first frame of a picture as a screen shows it: upright, in the colours of sRGB. */
async function openShown(
  { content }: PictureSource,
  { bmp }: PictureHeader,
  { maxPixels }: PictureLimits,
): Promise<Sharp> {
  if (bmp === undefined) {
    return openPicture(content, { maxPixels, colours: 'shown' }).autoOrient();
  }
  const file = typeof content === 'string' ? await readFile(content) : content;
  return openRaw(await decodeBmp(file, bmp));
}

/** One byte a pixel; 255 everywhere for a picture without alpha. */
function readAlpha(picture: Sharp): Promise<Buffer> {
  return picture.ensureAlpha().extractChannel('alpha').raw().toBuffer();
}
