import sharp, { type Sharp } from 'sharp';

/**
 * The one door to libvips: what of a stranger's file it may be asked to read is decided here, for every process.
 * Only the loaders of picture formats may run. SVG and PDF would make a renderer follow what a stranger wrote.
 */
sharp.block({ operation: ['VipsForeignLoad'] });
sharp.unblock({
  operation: ['Png', 'Jpeg', 'Webp', 'Nsgif', 'Tiff', 'Heif'].map((it) => `VipsForeignLoad${it}`),
});
// A cache of decoded operations only costs memory here: each picture is asked for differently.
sharp.cache(false);

/** A file: its bytes, or its path. */
export type PictureContent = Uint8Array | string;

export interface OpenOptions {
  /** Guards behind the header, which was judged before: pixels of all pages that are read. */
  readonly maxPixels?: number;
  /** The page to read, or all of them in one column; without it the first. */
  readonly pages?: number | 'all';
  /**
   * Whether a file that ends too early is refused. People's files are read as far as they go and the rest stays
   * grey or black, as Pillow does with LOAD_TRUNCATED_IMAGES.
   */
  readonly isStrict?: boolean;
  /** `stored`: the samples as they are in the file, as nodes want them; `shown`: as a screen shows them (sRGB). */
  readonly colours?: 'stored' | 'shown';
}

/** Opens an encoded picture. */
export function openPicture(content: PictureContent, options: OpenOptions = {}): Sharp {
  const { maxPixels, pages, isStrict = false, colours = 'stored' } = options;
  return sharp(content, {
    ignoreIcc: colours === 'stored',
    limitInputPixels: maxPixels ?? false,
    failOn: isStrict ? 'truncated' : 'none',
    ...(pages === 'all' ? { pages: -1 } : pages !== undefined && { page: pages, pages: 1 }),
  });
}

/** 8-bit samples, interleaved. */
export interface RawFrame {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 2 | 3 | 4;
  readonly data: Uint8Array;
}

/** Opens decoded pixels, to scale or encode them. */
export function openRaw({ data, width, height, channels }: RawFrame): Sharp {
  return sharp(data, { raw: { width, height, channels }, limitInputPixels: false });
}

/** Opens the decoded pixels of several frames, one below the other. @param frames how many */
export function openRawColumn({ data, width, height, channels }: RawFrame, frames: number): Sharp {
  return sharp(data, {
    raw: { width, height: height * frames, channels, pageHeight: height },
    limitInputPixels: false,
  });
}

/** A picture that is black all over. */
export function openBlack(width: number, height: number): Sharp {
  const create = { width, height, channels: 3, background: { r: 0, g: 0, b: 0 } } as const;
  return sharp({ create, limitInputPixels: false });
}
