import { crc32, inflateSync } from 'node:zlib';

/** Text in PNG files: where ComfyUI keeps the prompt and the workflow of a picture. */

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const TEXT_TYPES = new Set(['tEXt', 'zTXt', 'iTXt']);
/** A compressed text that unpacks to more is left out: it is a bomb or of no use. */
const MAX_TEXT_BYTES = 64 * 1024 * 1024;
const NUL = Buffer.from([0]);

interface Chunk {
  readonly type: string;
  readonly data: Buffer;
  /** Length, type, data and checksum, as in the file. */
  readonly raw: Buffer;
}

function isPng(bytes: Uint8Array): boolean {
  return SIGNATURE.equals(bytes.subarray(0, SIGNATURE.length));
}

/** Keyword -> text, of all three kinds of text chunks; empty for anything that is not a PNG. */
export function readPngText(bytes: Uint8Array): Map<string, string> {
  const texts = new Map<string, string>();
  for (const chunk of chunksOf(bytes)) {
    const entry = TEXT_TYPES.has(chunk.type) ? parseText(chunk) : undefined;
    if (entry !== undefined) texts.set(entry[0], entry[1]);
  }
  return texts;
}

/**
 * `target` (a PNG) with the text chunks of `source` byte for byte, in place of its own.
 * `target` comes back unchanged when one of them is not a PNG.
 */
export function copyPngText(source: Uint8Array, target: Uint8Array): Uint8Array {
  const texts = chunksOf(source).filter((chunk) => TEXT_TYPES.has(chunk.type));
  const [header, ...rest] = chunksOf(target).filter((chunk) => !TEXT_TYPES.has(chunk.type));
  if (texts.length === 0 || header === undefined) return target;
  const chunks = [header, ...texts, ...rest].map((chunk) => chunk.raw);
  return Buffer.concat([SIGNATURE, ...chunks]);
}

/**
 * A PNG with texts added behind its header, as tEXt where Latin-1 holds them and as iTXt elsewhere.
 * Keywords: 1 to 79 characters of Latin-1.
 */
export function addPngText(png: Uint8Array, texts: ReadonlyMap<string, string>): Uint8Array {
  const [header, ...rest] = chunksOf(png);
  if (header === undefined) return png;
  const added = [...texts].map(([keyword, text]) => textChunk(keyword, text));
  return Buffer.concat([SIGNATURE, header.raw, ...added, ...rest.map((chunk) => chunk.raw)]);
}

function chunksOf(bytes: Uint8Array): Chunk[] {
  if (!isPng(bytes)) return [];
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const chunks: Chunk[] = [];
  for (let at = SIGNATURE.length; at + 12 <= buffer.length;) {
    const end = at + 12 + buffer.readUInt32BE(at);
    if (end > buffer.length) break;
    const type = buffer.toString('latin1', at + 4, at + 8);
    chunks.push({ type, data: buffer.subarray(at + 8, end - 4), raw: buffer.subarray(at, end) });
    at = end;
  }
  return chunks;
}

function parseText({ type, data }: Chunk): [string, string] | undefined {
  const keywordEnd = data.indexOf(0);
  if (keywordEnd < 1) return undefined;
  const keyword = data.toString('latin1', 0, keywordEnd);
  if (type === 'tEXt') return [keyword, data.toString('latin1', keywordEnd + 1)];
  if (type === 'zTXt') {
    const text = inflate(data.subarray(keywordEnd + 2));
    return text === undefined ? undefined : [keyword, text.toString('latin1')];
  }
  // iTXt: compression flag and method, then language and translated keyword, each ended by NUL.
  const languageEnd = data.indexOf(0, keywordEnd + 3);
  const translatedEnd = languageEnd < 0 ? -1 : data.indexOf(0, languageEnd + 1);
  if (translatedEnd < 0) return undefined;
  const body = data.subarray(translatedEnd + 1);
  const text = data[keywordEnd + 1] === 1 ? inflate(body) : body;
  return text === undefined ? undefined : [keyword, text.toString('utf8')];
}

function inflate(data: Buffer): Buffer | undefined {
  try {
    return inflateSync(data, { maxOutputLength: MAX_TEXT_BYTES });
  } catch {
    return undefined; // a broken or oversized text: a picture without it is still a picture
  }
}

function textChunk(keyword: string, text: string): Buffer {
  // eslint-disable-next-line no-control-regex -- the range of Latin-1
  if (/^[\x00-\xff]*$/.test(text)) {
    return chunk('tEXt', [Buffer.from(keyword, 'latin1'), NUL, Buffer.from(text, 'latin1')]);
  }
  const plain = Buffer.alloc(4); // not compressed, method 0, no language, no translated keyword
  return chunk('iTXt', [Buffer.from(keyword, 'latin1'), NUL, plain, Buffer.from(text, 'utf8')]);
}

function chunk(type: string, parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), ...parts]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length - 4);
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
}
