import { crc32, deflateSync } from 'node:zlib';

export type Rgb = readonly [red: number, green: number, blue: number];

const SIGNATURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
const FILTER_UP = 2;

/** A PNG (8 bits, RGB) whose rows are all alike: `colourAt` says the colour of a column. */
export function encodePngColumns(
  width: number,
  height: number,
  colourAt: (x: number) => Rgb,
): Buffer {
  const rowBytes = 1 + width * 3;
  // Every row but the first is "as the one above": zeros, which compress at no cost.
  const raw = Buffer.alloc(rowBytes * height);
  for (let x = 0; x < width; x += 1) raw.set(colourAt(x), 1 + x * 3);
  for (let y = 1; y < height; y += 1) raw[y * rowBytes] = FILTER_UP;
  return writePng(width, height, raw);
}

/** @param raw the rows, each behind the number of its filter: 8 bits, RGB */
export function writePng(width: number, height: number, raw: Buffer): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  return Buffer.concat([
    SIGNATURE,
    makeChunk('IHDR', header),
    makeChunk('IDAT', deflateSync(raw, { level: 1 })),
    makeChunk('IEND', Buffer.alloc(0)),
  ]);
}

export function makeChunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const chunk = Buffer.alloc(body.length + 8);
  chunk.writeUInt32BE(data.length, 0);
  body.copy(chunk, 4);
  chunk.writeUInt32BE(crc32(body), body.length + 4);
  return chunk;
}
