import { pngChunk, SIGNATURE } from './png.ts';

/** What a chunk of any kind has besides its data: length, type and checksum. */
const FRAME_BYTES = 12;

/**
 * Rewrites the texts of one keyword in a PNG, e.g. `prompt`. Every other byte stays as it is, pixels
 * and what may follow the end among them. Compressed texts (zTXt, packed iTXt) are left alone.
 * @param rewrite gets a text and returns what to put in its place: Latin-1, unless the text it got is
 *        in an iTXt chunk
 * @returns `file` itself when it is no PNG, has no such text, or no text changed
 */
export function rewritePngText(
  file: Uint8Array,
  keyword: string,
  rewrite: (text: string) => string,
): Uint8Array {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  if (!bytes.subarray(0, SIGNATURE.length).equals(SIGNATURE)) return file;
  const parts: Uint8Array[] = [];
  let copied = 0;
  for (let at = SIGNATURE.length; at + FRAME_BYTES <= bytes.length;) {
    const end = at + FRAME_BYTES + bytes.readUInt32BE(at);
    if (end > bytes.length) break;
    const type = bytes.toString('latin1', at + 4, at + 8);
    const rewritten = rewriteData(type, bytes.subarray(at + 8, end - 4), keyword, rewrite);
    if (rewritten !== undefined) {
      parts.push(bytes.subarray(copied, at), pngChunk(type, rewritten));
      copied = end;
    }
    at = end;
  }
  return parts.length === 0 ? file : Buffer.concat([...parts, bytes.subarray(copied)]);
}

/** The new data of a chunk; undefined when it stays. */
function rewriteData(
  type: string,
  data: Buffer,
  keyword: string,
  rewrite: (text: string) => string,
): Buffer | undefined {
  const layout = layoutOf(type, keyword);
  if (layout === undefined || !data.subarray(0, layout.head.length).equals(layout.head)) return;
  const textStart = layout.findText(data);
  if (textStart === undefined) return;
  const text = data.toString(layout.encoding, textStart);
  const rewritten = rewrite(text);
  if (rewritten === text) return;
  return Buffer.concat([data.subarray(0, textStart), Buffer.from(rewritten, layout.encoding)]);
}

interface TextLayout {
  /** What the data of a text of that keyword begins with. */
  readonly head: Buffer;
  readonly encoding: 'latin1' | 'utf8';
  /** Where the text begins behind the head; undefined for a chunk that is not whole. */
  findText(data: Buffer): number | undefined;
}

/** `comf` is ComfyUI's own, in animated PNGs: laid out as tEXt, behind the pixels. */
function layoutOf(type: string, keyword: string): TextLayout | undefined {
  switch (type) {
    case 'tEXt':
    case 'comf': {
      const head = Buffer.from(`${keyword}\0`, 'latin1');
      return { head, encoding: 'latin1', findText: () => head.length };
    }
    case 'iTXt': {
      // Not compressed (two zeros); then language and translated keyword, each ended by NUL.
      const head = Buffer.from(`${keyword}\0\0\0`, 'latin1');
      return {
        head,
        encoding: 'utf8',
        findText: (data) => {
          const languageEnd = data.indexOf(0, head.length);
          const translatedEnd = languageEnd < 0 ? -1 : data.indexOf(0, languageEnd + 1);
          return translatedEnd < 0 ? undefined : translatedEnd + 1;
        },
      };
    }
    default:
      return undefined;
  }
}
