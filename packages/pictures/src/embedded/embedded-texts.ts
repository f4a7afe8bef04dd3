import { readPngText } from '../png/png-text.ts';
import { readPngChunks } from '../png/png-chunks.ts';
import { readExifTexts } from './exif-texts.ts';
import { readJpegExif, readWebpExif } from './exif-places.ts';
import { readMatroskaTags } from './matroska-tags.ts';
import { readMovieMetadata } from './movie-metadata.ts';

/** Files in which ComfyUI and its packs keep the prompt and the workflow. */
export type MediaFormat = 'PNG' | 'JPEG' | 'WebP' | 'MP4' | 'WebM';

export interface EmbeddedTexts {
  readonly format: MediaFormat;
  /** By name in lower case: `prompt`, `workflow`, `comment`, and whatever else is there. */
  readonly texts: ReadonlyMap<string, string>;
}

/**
 * The texts of a picture's or video's metadata; nothing is decoded. What is damaged has those before the damage.
 * @returns undefined for any other file
 */
export function readEmbeddedTexts(file: Uint8Array): EmbeddedTexts | undefined {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  switch (sniffMedia(bytes)) {
    case 'PNG':
      return {
        format: 'PNG',
        texts: lowerNames([...readPngText(bytes), ...readAnimationTexts(bytes)]),
      };
    case 'JPEG':
      return { format: 'JPEG', texts: lowerNames(readExifTexts(readJpegExif(bytes))) };
    case 'WebP':
      return { format: 'WebP', texts: lowerNames(readExifTexts(readWebpExif(bytes))) };
    case 'MP4':
      return { format: 'MP4', texts: lowerNames(readMovieMetadata(bytes)) };
    case 'WebM':
      return { format: 'WebM', texts: lowerNames(readMatroskaTags(bytes)) };
    case undefined:
      return undefined;
  }
}

/** What the first bytes say; text and JSON are none of these. */
export function sniffMedia(head: Uint8Array): MediaFormat | undefined {
  const start = Buffer.from(head.buffer, head.byteOffset, Math.min(head.byteLength, 12));
  const text = start.toString('latin1');
  if (text.startsWith('\x89PNG\r\n\x1a\n')) return 'PNG';
  if (text.startsWith('\xff\xd8\xff')) return 'JPEG';
  if (text.startsWith('RIFF') && text.slice(8, 12) === 'WEBP') return 'WebP';
  if (text.slice(4, 8) === 'ftyp') return 'MP4';
  if (text.startsWith('\x1a\x45\xdf\xa3')) return 'WebM';
  return undefined;
}

/** SaveAnimatedPNG has chunks of its own: a name, NUL, and Latin-1 with JSON's escapes. */
function readAnimationTexts(png: Buffer): [name: string, text: string][] {
  const texts: [string, string][] = [];
  for (const { type, data } of readPngChunks(png)) {
    const end = type === 'comf' ? data.indexOf(0) : -1;
    if (end > 0) texts.push([data.toString('latin1', 0, end), data.toString('latin1', end + 1)]);
  }
  return texts;
}

/** Of two texts of one name the first counts. */
function lowerNames(texts: Iterable<readonly [name: string, text: string]>): Map<string, string> {
  const named = new Map<string, string>();
  for (const [name, text] of texts) {
    const lower = name.toLowerCase();
    if (!named.has(lower)) named.set(lower, text);
  }
  return named;
}
