import {
  CHUNK_FRAME_BYTES,
  CHUNK_HEAD_BYTES,
  pngChunk,
  readPngChunks,
  SIGNATURE,
} from './png-chunks.ts';

/** Kinds of chunks that may hold texts, as layoutOf knows them. */
const TEXT_TYPES = new Set(['tEXt', 'comf', 'iTXt']);
/** A longer text passes as it is. */
const MAX_TEXT_BYTES = 64 * 1024 * 1024;

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
  const parts: Uint8Array[] = [];
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  let at = SIGNATURE.length;
  let copied = 0;
  for (const { type, data, raw } of readPngChunks(bytes)) {
    const rewritten = rewriteData(type, data, keyword, rewrite);
    if (rewritten !== undefined) {
      parts.push(bytes.subarray(copied, at), pngChunk(type, rewritten));
      copied = at + raw.length;
    }
    at += raw.length;
  }
  return parts.length === 0 ? file : Buffer.concat([...parts, bytes.subarray(copied)]);
}

/** rewritePngText for a file that comes in pieces: only chunks with texts are kept until they are whole. */
export async function* rewritePngTextStream(
  source: AsyncIterable<Uint8Array>,
  keyword: string,
  rewrite: (text: string) => string,
): AsyncGenerator<Uint8Array> {
  /** What has come and was not passed on, and how much of it the next step needs. */
  let pieces: Uint8Array[] = [];
  let heldBytes = 0;
  let neededBytes = SIGNATURE.length;
  /** Bytes that pass unseen. */
  let passing = 0;
  let isPng: boolean | undefined;
  for await (const piece of source) {
    pieces.push(piece);
    heldBytes += piece.length;
    if (heldBytes < neededBytes) continue;
    const [only = piece] = pieces;
    let held: Buffer =
      pieces.length === 1
        ? Buffer.from(only.buffer, only.byteOffset, only.byteLength)
        : Buffer.concat(pieces);
    for (;;) {
      const passed = held.subarray(0, passing);
      if (passed.length > 0) yield passed;
      passing -= passed.length;
      held = held.subarray(passed.length);
      neededBytes = passing > 0 ? 1 : isPng === undefined ? SIGNATURE.length : CHUNK_HEAD_BYTES;
      if (held.length < neededBytes) break;
      if (isPng === undefined) {
        isPng = held.subarray(0, SIGNATURE.length).equals(SIGNATURE);
        passing = isPng ? SIGNATURE.length : Infinity;
        continue;
      }
      const chunkBytes = CHUNK_FRAME_BYTES + held.readUInt32BE(0);
      const type = held.toString('latin1', 4, 8);
      if (!TEXT_TYPES.has(type) || chunkBytes > MAX_TEXT_BYTES) {
        passing = chunkBytes;
        continue;
      }
      neededBytes = chunkBytes;
      if (held.length < neededBytes) break;
      const data = held.subarray(CHUNK_HEAD_BYTES, chunkBytes - 4);
      const rewritten = rewriteData(type, data, keyword, rewrite);
      yield rewritten === undefined ? held.subarray(0, chunkBytes) : pngChunk(type, rewritten);
      held = held.subarray(chunkBytes);
    }
    pieces = held.length === 0 ? [] : [held];
    heldBytes = held.length;
  }
  yield* pieces;
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
