import { pipeline } from 'node:stream/promises';
import { createDeflate, deflateSync } from 'node:zlib';
import { writeBytes } from '../work/samples.ts';
import { createPacer } from '../work/slices.ts';
import { pngChunk, SIGNATURE } from './png-chunks.ts';

/** Below this many raw bytes, a hop to the thread pool costs more than compressing. */
const SYNC_BYTES = 64 * 1024;
/** What the compressor is given, and gives, at once: some milliseconds of work. */
const BLOCK_BYTES = 256 * 1024;
const COLOR_TYPE = { 1: 0, 3: 2, 4: 6 } as const;
/** A tEXt keyword: 1 to 79 bytes of printable Latin-1. */
const KEYWORD = /^[\x20-\x7e\xa1-\xff]{1,79}$/;

export interface RawImage {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3 | 4;
  /** Interleaved: bytes, or samples in 0..1. */
  readonly data: Uint8Array | Float32Array;
}

export interface PngOptions {
  /** zlib's compression level, 0 to 9. */
  readonly level: number;
  /** Keyword and ASCII text; a keyword that PNG does not allow is left out. */
  readonly text?: readonly (readonly [keyword: string, text: string])[];
  readonly signal?: AbortSignal;
}

/**
 * Encodes an 8-bit PNG with tEXt chunks in front of the pixels, where ComfyUI puts them.
 * @throws the reason of the signal
 */
export async function encodePng(image: RawImage, options: PngOptions): Promise<Uint8Array> {
  const { width, height, channels } = image;
  if ((width * channels + 1) * height < SYNC_BYTES) {
    const [rows = Buffer.alloc(0)] = filterRows(image, height);
    const pixels = deflateSync(rows, { level: options.level });
    return Buffer.concat([writeHead(image, options), pngChunk('IDAT', pixels), pngChunk('IEND')]);
  }
  const parts: Uint8Array[] = [];
  for await (const part of streamPng(image, options)) parts.push(part);
  return Buffer.concat(parts);
}

/**
 * encodePng, part by part: takes memory for a few rows only.
 * @throws the reason of the signal
 */
export async function* streamPng(image: RawImage, options: PngOptions): AsyncGenerator<Uint8Array> {
  const { level, signal } = options;
  yield writeHead(image, options);
  const deflate = createDeflate({ level, chunkSize: BLOCK_BYTES });
  // What goes wrong in it is thrown where its result is read.
  pipeline(feedRows(image, signal), deflate).catch(() => undefined);
  for await (const part of deflate) yield pngChunk('IDAT', part as Buffer); // it has no encoding set
  yield pngChunk('IEND');
}

async function* feedRows(image: RawImage, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  const rowsAtOnce = Math.max(1, Math.floor(BLOCK_BYTES / (image.width * image.channels + 1)));
  const pace = createPacer(signal);
  for (const block of filterRows(image, rowsAtOnce)) {
    yield block;
    const pause = pace();
    if (pause) await pause;
  }
}

function writeHead({ width, height, channels }: RawImage, { text = [] }: PngOptions): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.writeUInt8(8, 8);
  header.writeUInt8(COLOR_TYPE[channels], 9);
  return Buffer.concat([SIGNATURE, pngChunk('IHDR', header), ...encodeTexts(text)]);
}

/** Chunks of what `encodePng` is given to write beside the pixels. */
export function encodeTexts(text: NonNullable<PngOptions['text']>): Buffer[] {
  return text
    .filter(([keyword]) => KEYWORD.test(keyword))
    .map(([keyword, content]) => pngChunk('tEXt', Buffer.from(`${keyword}\0${content}`, 'latin1')));
}

/** Pictures this small are not worth the search for a filter. */
const UNFILTERED_BYTES = 16 * 1024;

/**
 * Scanlines with a filter byte each: none, left or up, whichever gives the smallest differences.
 * @param rowsAtOnce how many a block holds
 */
function* filterRows(
  { width, height, channels, data }: RawImage,
  rowsAtOnce: number,
): Generator<Uint8Array> {
  const stride = width * channels;
  const isSmall = data.length < UNFILTERED_BYTES;
  const readRow = createRowReader(data, stride);
  let above = new Uint8Array(stride);
  for (let first = 0; first < height; first += rowsAtOnce) {
    const count = Math.min(rowsAtOnce, height - first);
    const block = new Uint8Array((stride + 1) * count);
    for (let y = first; y < first + count; y += 1) {
      const row = readRow(y);
      const to = (y - first) * (stride + 1);
      const filter = isSmall ? 0 : pickFilter(row, above, channels, y > 0);
      block[to] = filter;
      writeFiltered({ row, above, channels, filter }, block, to + 1);
      above = row;
    }
    yield block;
  }
}

/** Rows as bytes; a row is good until the one after the next is read. */
function createRowReader(
  data: Uint8Array | Float32Array,
  stride: number,
): (y: number) => Uint8Array<ArrayBuffer> {
  if (data instanceof Uint8Array) {
    const bytes = new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength); // pixels are never shared memory
    return (y) => bytes.subarray(y * stride, (y + 1) * stride);
  }
  const rows = [new Uint8Array(stride), new Uint8Array(stride)] as const;
  return (y) => {
    const row = y % 2 === 0 ? rows[0] : rows[1];
    writeBytes(data, row, { from: y * stride, to: (y + 1) * stride, at: 0 });
    return row;
  };
}

function writeFiltered(
  line: { row: Uint8Array; above: Uint8Array; channels: number; filter: 0 | 1 | 2 },
  block: Uint8Array,
  at: number,
): void {
  const { row, above, channels, filter } = line;
  if (filter === 0) {
    block.set(row, at);
  } else if (filter === 1) {
    for (let i = 0; i < row.length; i += 1) {
      block[at + i] = (row[i] ?? 0) - (i < channels ? 0 : (row[i - channels] ?? 0));
    }
  } else {
    for (let i = 0; i < row.length; i += 1) block[at + i] = (row[i] ?? 0) - (above[i] ?? 0);
  }
}

const FILTER_SAMPLE_STEP = 3;
// Bound once: looking up a global in every turn of a pixel loop is slow inside vm contexts (Jest).
const { abs } = Math;

/** Compares the three filters on every third sample: close to the full sum at a third of its cost. */
function pickFilter(
  row: Uint8Array,
  above: Uint8Array,
  channels: number,
  hasRowAbove: boolean,
): 0 | 1 | 2 {
  let none = 0;
  let left = 0;
  let up = 0;
  for (let i = channels; i < row.length; i += FILTER_SAMPLE_STEP) {
    const value = row[i] ?? 0;
    none += value < 128 ? value : 256 - value;
    left += abs(value - (row[i - channels] ?? 0));
    if (hasRowAbove) up += abs(value - (above[i] ?? 0));
  }
  if (hasRowAbove && up <= left && up <= none) return 2;
  return left <= none ? 1 : 0;
}
