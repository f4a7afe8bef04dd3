/** The formats that are read, here and nowhere else decided. */
export type PictureFormat = 'png' | 'jpeg' | 'webp' | 'gif' | 'tiff' | 'bmp' | 'avif';

/** For messages. */
export const FORMAT_NAMES: Readonly<Record<PictureFormat, string>> = {
  png: 'PNG',
  jpeg: 'JPEG',
  webp: 'WebP',
  gif: 'GIF',
  tiff: 'TIFF',
  bmp: 'BMP',
  avif: 'AVIF',
};

/** Bytes of a file that tell its format; of a BMP also all of its headers. */
export const HEAD_BYTES = 256;

/** Where every format has said its name. */
const SIGNATURE_BYTES = 32;

/** Brands of ISO media files that hold an AV1 picture (AVIF 1.1, section 6); others are videos and HEIC. */
const AVIF_BRAND = /avi[fs]/;

/** What a file says it is by its first bytes, whatever its name; undefined when it is no picture that is read. */
export function sniffFormat(head: Uint8Array): PictureFormat | undefined {
  const latin = Buffer.from(
    head.buffer,
    head.byteOffset,
    Math.min(head.byteLength, SIGNATURE_BYTES),
  );
  const text = latin.toString('latin1');
  if (text.startsWith('\x89PNG\r\n\x1a\n')) return 'png';
  if (text.startsWith('\xff\xd8\xff')) return 'jpeg';
  if (text.startsWith('RIFF') && text.slice(8, 12) === 'WEBP') return 'webp';
  if (text.startsWith('GIF87a') || text.startsWith('GIF89a')) return 'gif';
  // The last two are BigTIFF.
  if (/^(?:II\*\0|MM\0\*|II\+\0|MM\0\+)/.test(text)) return 'tiff';
  if (text.startsWith('BM')) return 'bmp';
  if (text.slice(4, 8) === 'ftyp' && AVIF_BRAND.test(text.slice(8))) return 'avif';
  return undefined;
}
