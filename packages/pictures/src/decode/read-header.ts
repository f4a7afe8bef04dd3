import { open, stat } from 'node:fs/promises';
import { PictureError } from '../picture-error.ts';
import { checkPictureSize, MAX_FRAMES, type PictureLimits } from '../picture-limits.ts';
import { findAnimation, type Animation } from './apng.ts';
import { readBmpHeader, type BmpHeader } from './bmp.ts';
import { openPicture, type PictureContent } from './open-picture.ts';
import { FORMAT_NAMES, HEAD_BYTES, sniffFormat, type PictureFormat } from './picture-format.ts';

export interface PictureSource {
  /** What the caller calls the file: messages name it. */
  readonly name: string;
  readonly content: PictureContent;
}

/** What is known of a picture before a pixel of it is decoded. */
export interface PictureHeader {
  readonly format: PictureFormat;
  readonly fileBytes: number;
  /** As it is shown: the orientation of EXIF is applied. */
  readonly width: number;
  readonly height: number;
  /** 1 to 8 as in EXIF; from 5 on, the stored sides are the other way round. */
  readonly orientation: number;
  /** Of the stored samples. */
  readonly channels: number;
  readonly sampleBytes: number;
  /** Whether ComfyUI takes a mask from it. */
  readonly hasAlpha: boolean;
  /** Whether it has no alpha, but a colour that counts as transparent (PNG's tRNS). */
  readonly hasColourKey: boolean;
  readonly isCmyk: boolean;
  /** Interlaced, or progressive. */
  readonly isProgressive: boolean;
  /** Pages that make frames, by their number in the file: those as large as the first. */
  readonly pages: readonly number[];
  readonly bmp?: BmpHeader;
  readonly animation?: Animation | undefined;
}

const SAMPLE_BYTES: Readonly<Record<string, number>> = {
  ...{ ushort: 2, short: 2, uint: 4, int: 4, float: 4 },
  ...{ complex: 8, double: 8, dpcomplex: 16 },
};
/** PNG's types of colour without alpha: a colour that counts as transparent (tRNS) makes no mask in ComfyUI. */
const PNG_GREY = 0;
const PNG_RGB = 2;
const PNG_COLOUR_TYPE_AT = 25;

/**
 * Reads the header and judges it, so that a picture is refused before it costs memory.
 * @param wants `all` frames (of a file in memory), or only the `first`
 * @throws PictureError: empty, unknown format, unreadable, too large
 */
export async function readHeader(
  source: PictureSource,
  limits: PictureLimits,
  wants: 'all' | 'first' = 'all',
): Promise<PictureHeader> {
  const { name, content } = source;
  const { head, sizeBytes } = await readHead(content);
  if (sizeBytes === 0) throw new PictureError('empty', `${name} is an empty file.`);
  const format = sniffFormat(head);
  if (format === undefined) {
    const known = Object.values(FORMAT_NAMES).join(', ');
    const message = `${name} is not a picture of a known format (${known}).`;
    throw new PictureError('unknown_format', message);
  }
  const { pageCount, ...header } =
    format === 'bmp' ? describeBmp(name, head) : await describe(source, format, head);
  const { width, height } = header;
  checkPictureSize(name, { width, height, frames: 1 }, limits);
  const animation =
    format === 'png' && wants === 'all' && typeof content !== 'string'
      ? findAnimation(content)
      : undefined;
  const pages =
    wants === 'first' || pageCount === 1
      ? [0]
      : await findPages(source, { ...header, pageCount }, limits);
  const frames = animation?.frames.length ?? pages.length;
  checkPictureSize(name, { width, height, frames }, limits);
  return { ...header, fileBytes: sizeBytes, pages, animation };
}

/** What a damaged file is refused with. */
export function unreadable(name: string, format: PictureFormat, cause?: unknown): PictureError {
  const message = `${name} cannot be read: its ${FORMAT_NAMES[format]} data is damaged, or of a kind that is not supported.`;
  return new PictureError('unreadable', message, { cause });
}

type Description = Omit<PictureHeader, 'pages' | 'fileBytes'> & { readonly pageCount: number };

async function describe(
  { name, content }: PictureSource,
  format: PictureFormat,
  head: Uint8Array,
): Promise<Description> {
  try {
    const metadata = await openPicture(content).metadata();
    const { width, height, orientation = 1, channels, depth, isProgressive, pages } = metadata;
    const isTurned = orientation >= 5;
    const isPlainPng =
      format === 'png' && [PNG_GREY, PNG_RGB].includes(head[PNG_COLOUR_TYPE_AT] ?? PNG_GREY);
    return {
      ...{ format, orientation, channels, isProgressive: isProgressive },
      ...(isTurned ? { width: height, height: width } : { width, height }),
      sampleBytes: SAMPLE_BYTES[depth] ?? 1,
      hasAlpha: metadata.hasAlpha && !isPlainPng,
      hasColourKey: metadata.hasAlpha && isPlainPng,
      isCmyk: metadata.space === 'cmyk',
      // The pages of an AVIF are pictures of their own, not frames.
      pageCount: format === 'avif' ? 1 : (pages ?? 1),
    };
  } catch (cause) {
    throw unreadable(name, format, cause);
  }
}

function describeBmp(name: string, head: Uint8Array): Description {
  const bmp = readBmpHeader(head);
  if (bmp === undefined) throw unreadable(name, 'bmp');
  const { width, height, hasAlpha } = bmp;
  return {
    ...{ format: 'bmp', width, height, hasAlpha, hasColourKey: false, isCmyk: false, bmp },
    ...{ orientation: 1, channels: hasAlpha ? 4 : 3, sampleBytes: 1, isProgressive: false },
    pageCount: 1,
  };
}

/**
 * The pages of one file. Those of a TIFF have sizes of their own: ComfyUI leaves out those that differ from the
 * first, such as the thumbnail of a photo.
 */
async function findPages(
  { name, content }: PictureSource,
  { format, width, height, pageCount }: Description,
  limits: PictureLimits,
): Promise<number[]> {
  if (format !== 'tiff') return Array.from({ length: pageCount }, (_, page) => page);
  const pages = [0];
  const isLikeFirst = (metadata: {
    width: number;
    height: number;
    orientation?: number | undefined;
  }) => {
    const isTurned = (metadata.orientation ?? 1) >= 5;
    return isTurned
      ? metadata.height === width && metadata.width === height
      : metadata.width === width && metadata.height === height;
  };
  for (let page = 1; page < Math.min(pageCount, MAX_FRAMES + 1); page += 1) {
    try {
      if (isLikeFirst(await openPicture(content, { pages: page }).metadata())) pages.push(page);
    } catch {
      break; // a damaged page: what comes behind it is lost with it
    }
    checkPictureSize(name, { width, height, frames: pages.length }, limits);
  }
  return pages;
}

async function readHead(
  content: PictureContent,
): Promise<{ readonly head: Uint8Array; readonly sizeBytes: number }> {
  if (typeof content !== 'string') return { head: content, sizeBytes: content.byteLength };
  const { size } = await stat(content);
  const file = await open(content);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    return { head: buffer.subarray(0, bytesRead), sizeBytes: size };
  } finally {
    await file.close();
  }
}
