import { promisify } from 'node:util';
import { crc32, deflate, deflateSync } from 'node:zlib';

const deflateAsync = promisify(deflate);

/** Below this many raw bytes, a hop to the thread pool costs more than compressing. */
const SYNC_BYTES = 64 * 1024;
/** What every PNG begins with. */
export const SIGNATURE = Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10);
const COLOR_TYPE = { 1: 0, 3: 2, 4: 6 } as const;
/** A tEXt keyword: 1 to 79 bytes of printable Latin-1. */
const KEYWORD = /^[\x20-\x7e\xa1-\xff]{1,79}$/;

export interface RawImage {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3 | 4;
  /** Interleaved, 8 bits a sample. */
  readonly data: Uint8Array;
}

/**
 * Encodes an 8-bit PNG with tEXt chunks in front of the pixels, where ComfyUI puts them.
 * @param level zlib's compression level, 0 to 9
 * @param text keyword and ASCII text; a keyword that PNG does not allow is left out
 */
export async function encodePng(
  image: RawImage,
  options: { level: number; text?: readonly (readonly [keyword: string, text: string])[] },
): Promise<Uint8Array> {
  const { width, height, channels } = image;
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.writeUInt8(8, 8);
  header.writeUInt8(COLOR_TYPE[channels], 9);

  const rows = filterRows(image);
  const settings = { level: options.level };
  const pixels =
    rows.length < SYNC_BYTES ? deflateSync(rows, settings) : await deflateAsync(rows, settings);

  const texts = (options.text ?? [])
    .filter(([keyword]) => KEYWORD.test(keyword))
    .map(([keyword, text]) => pngChunk('tEXt', Buffer.from(`${keyword}\0${text}`, 'latin1')));
  return Buffer.concat([
    SIGNATURE,
    pngChunk('IHDR', header),
    ...texts,
    pngChunk('IDAT', pixels),
    pngChunk('IEND', Buffer.alloc(0)),
  ]);
}

/** A chunk as it is in a file: length, type, data, checksum. */
export function pngChunk(type: string, data: Uint8Array): Buffer {
  const out = Buffer.allocUnsafe(data.length + 12);
  out.writeUInt32BE(data.length, 0);
  out.write(type, 4, 'latin1');
  out.set(data, 8);
  out.writeUInt32BE(crc32(out.subarray(4, data.length + 8)), data.length + 8);
  return out;
}

/** Pictures this small are not worth the search for a filter. */
const UNFILTERED_BYTES = 16 * 1024;

/** Scanlines with a filter byte each: none, left or up, whichever gives the smallest differences. */
function filterRows({ width, height, channels, data }: RawImage): Uint8Array {
  const stride = width * channels;
  const out = new Uint8Array((stride + 1) * height);
  for (let y = 0; y < height; y += 1) {
    const from = y * stride;
    const to = y * (stride + 1);
    const filter =
      data.length < UNFILTERED_BYTES ? 0 : pickFilter(data, from, stride, channels, y > 0);
    out[to] = filter;
    if (filter === 0) {
      out.set(data.subarray(from, from + stride), to + 1);
      continue;
    }
    const back = filter === 1 ? channels : stride;
    for (let i = 0; i < stride; i += 1) {
      const before = filter === 1 && i < channels ? 0 : (data[from + i - back] ?? 0);
      out[to + 1 + i] = (data[from + i] ?? 0) - before;
    }
  }
  return out;
}

const FILTER_SAMPLE_STEP = 3;

/** Compares the three filters on every third sample: close to the full sum at a third of its cost. */
function pickFilter(
  data: Uint8Array,
  from: number,
  stride: number,
  channels: number,
  hasRowAbove: boolean,
): 0 | 1 | 2 {
  let none = 0;
  let left = 0;
  let up = 0;
  for (let i = channels; i < stride; i += FILTER_SAMPLE_STEP) {
    const value = data[from + i] ?? 0;
    none += value < 128 ? value : 256 - value;
    left += Math.abs(value - (data[from + i - channels] ?? 0));
    if (hasRowAbove) up += Math.abs(value - (data[from + i - stride] ?? 0));
  }
  if (hasRowAbove && up <= left && up <= none) return 2;
  return left <= none ? 1 : 0;
}
