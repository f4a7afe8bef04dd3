import { readPngChunks, SIGNATURE } from './png-chunks.ts';
import { encodeTexts, type PngOptions } from './png.ts';

/** What pixels are made of; all other chunks say something about them, or of where they came from. */
const PIXEL_TYPES = new Set(['PLTE', 'tRNS', 'IDAT', 'IEND']);

/** A PNG as a copy with other texts has it. */
export interface CopiedPng {
  readonly bytes: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/**
 * A PNG of the same pixels, with these texts and nothing else that the file holds: what is not known to be pixels is left
 * out. The pixels are not decoded.
 * @returns undefined for what is no whole PNG
 */
export function copyPixels(
  png: Uint8Array,
  text: NonNullable<PngOptions['text']>,
): CopiedPng | undefined {
  const [header, ...rest] = readPngChunks(png);
  if (header?.type !== 'IHDR' || header.data.length < 8) return undefined;
  const end = rest.findIndex(({ type }) => type === 'IEND');
  if (end < 0) return undefined;
  const pixels = rest.slice(0, end + 1).filter(({ type }) => PIXEL_TYPES.has(type));
  return {
    bytes: Buffer.concat([
      SIGNATURE,
      header.raw,
      ...encodeTexts(text),
      ...pixels.map(({ raw }) => raw),
    ]),
    width: header.data.readUInt32BE(0),
    height: header.data.readUInt32BE(4),
  };
}
