import { open } from 'node:fs/promises';
import { inflateSync } from 'node:zlib';
import {
  CHUNK_FRAME_BYTES,
  CHUNK_HEAD_BYTES,
  pngChunk,
  readPngChunks,
  SIGNATURE,
  type PngChunk,
} from './png-chunks.ts';

/** Text in PNG files: where ComfyUI keeps the prompt and the workflow of a picture. */

const TEXT_TYPES = new Set(['tEXt', 'zTXt', 'iTXt']);
/** Of the texts of a file, and of one text unpacked. What is more is left out: it is a bomb or of no use. */
const MAX_TEXT_BYTES = 64 * 1024 * 1024;
const NUL = Buffer.from([0]);

/** Keyword -> text, of all three kinds of text chunks; empty for anything that is not a PNG. */
export function readPngText(bytes: Uint8Array): Map<string, string> {
  const texts = new Map<string, string>();
  let left = MAX_TEXT_BYTES;
  for (const chunk of readPngChunks(bytes)) {
    const entry = TEXT_TYPES.has(chunk.type) ? parseText(chunk, left) : undefined;
    if (entry === undefined) continue;
    left -= entry[1].length;
    if (left < 0) break;
    texts.set(entry[0], entry[1]);
  }
  return texts;
}

/**
 * The text chunks of a PNG file as they are in it, in order; the pixels between them are not read. None of a file
 * that is no PNG, nor what lies behind a damaged chunk.
 */
export async function readTextChunks(path: string): Promise<Buffer[]> {
  const file = await open(path);
  const chunks: Buffer[] = [];
  try {
    const read = async (at: number, length: number): Promise<Buffer | undefined> => {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, at);
      return bytesRead === length ? buffer : undefined;
    };
    const signature = await read(0, SIGNATURE.length);
    if (signature?.equals(SIGNATURE) !== true) return chunks;
    let textBytes = 0;
    for (let at = SIGNATURE.length; ;) {
      const head = await read(at, CHUNK_HEAD_BYTES);
      if (head === undefined) return chunks;
      const length = CHUNK_FRAME_BYTES + head.readUInt32BE(0);
      if (TEXT_TYPES.has(head.toString('latin1', 4))) {
        textBytes += length;
        const chunk = textBytes > MAX_TEXT_BYTES ? undefined : await read(at, length);
        if (chunk === undefined) return chunks;
        chunks.push(chunk);
      }
      at += length;
    }
  } finally {
    await file.close();
  }
}

/** A PNG with these text chunks in place of its own, in parts: nothing large is copied. */
export function replaceTextChunks(png: Uint8Array, texts: readonly Uint8Array[]): Uint8Array[] {
  const [header, ...rest] = [...readPngChunks(png)].filter(({ type }) => !TEXT_TYPES.has(type));
  if (header === undefined) return [png];
  return [SIGNATURE, header.raw, ...texts, ...rest.map((chunk) => chunk.raw)];
}

/**
 * A PNG with texts added behind its header, as tEXt where Latin-1 holds them and as iTXt elsewhere.
 * Keywords: 1 to 79 characters of Latin-1.
 */
export function addPngText(png: Uint8Array, texts: ReadonlyMap<string, string>): Uint8Array {
  const [header, ...rest] = readPngChunks(png);
  if (header === undefined) return png;
  const added = [...texts].map(([keyword, text]) => textChunk(keyword, text));
  return Buffer.concat([SIGNATURE, header.raw, ...added, ...rest.map((chunk) => chunk.raw)]);
}

function parseText({ type, data }: PngChunk, maxBytes: number): [string, string] | undefined {
  const keywordEnd = data.indexOf(0);
  if (keywordEnd < 1) return undefined;
  const keyword = data.toString('latin1', 0, keywordEnd);
  if (type === 'tEXt') return [keyword, data.toString('latin1', keywordEnd + 1)];
  if (type === 'zTXt') {
    const text = inflate(data.subarray(keywordEnd + 2), maxBytes);
    return text === undefined ? undefined : [keyword, text.toString('latin1')];
  }
  // iTXt: compression flag and method, then language and translated keyword, each ended by NUL.
  const languageEnd = data.indexOf(0, keywordEnd + 3);
  const translatedEnd = languageEnd < 0 ? -1 : data.indexOf(0, languageEnd + 1);
  if (translatedEnd < 0) return undefined;
  const body = data.subarray(translatedEnd + 1);
  const text = data[keywordEnd + 1] === 1 ? inflate(body, maxBytes) : body;
  return text === undefined ? undefined : [keyword, text.toString('utf8')];
}

function inflate(data: Buffer, maxBytes: number): Buffer | undefined {
  if (maxBytes < 1) return undefined;
  try {
    return inflateSync(data, { maxOutputLength: maxBytes });
  } catch {
    return undefined; // a broken or oversized text: a picture without it is still a picture
  }
}

function textChunk(keyword: string, text: string): Buffer {
  // eslint-disable-next-line no-control-regex -- the range of Latin-1
  if (/^[\x00-\xff]*$/.test(text)) {
    return pngChunk('tEXt', Buffer.from(keyword, 'latin1'), NUL, Buffer.from(text, 'latin1'));
  }
  const plain = Buffer.alloc(4); // not compressed, method 0, no language, no translated keyword
  return pngChunk('iTXt', Buffer.from(keyword, 'latin1'), NUL, plain, Buffer.from(text, 'utf8'));
}
