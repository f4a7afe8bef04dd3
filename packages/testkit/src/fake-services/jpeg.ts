import type { Rgb } from '../png.ts';

/**
 * A baseline JPEG whose rows are all alike. It is made of flat blocks of 8x8 pixels, of which only the
 * mean is coded, and a restart marker ends each row of blocks, so that one coded row serves for all:
 * a picture of any size costs as much as one row.
 */

const BLOCK = 8;
/** With this divisor a block's quantised mean is the mean itself, less 128. */
const QUANTISER = 8;
/** Sizes of differences of means (0..8 bits); each has a code of four bits, its own number. */
const SIZES = [0, 1, 2, 3, 4, 5, 6, 7, 8];
const SIZE_CODE_BITS = 4;
/** "No more coefficients" is the only AC symbol; its code is one zero bit. */
const END_OF_BLOCK_BITS = '0';

/** @param colourAt the colour of a column of pixels */
export function encodeJpegColumns(
  width: number,
  height: number,
  colourAt: (x: number) => Rgb,
): Buffer {
  const columns = Math.ceil(width / BLOCK);
  const rows = Math.ceil(height / BLOCK);
  const row = encodeRow(columns, (column) => colourAt(Math.min(width - 1, column * BLOCK + 4)));
  const scan: Buffer[] = [];
  for (let y = 0; y < rows; y += 1) {
    scan.push(row);
    if (y < rows - 1) scan.push(Buffer.from([0xff, 0xd0 + (y % 8)]));
  }
  return Buffer.concat([...makeHead(width, height, columns), ...scan, Buffer.from('ffd9', 'hex')]);
}

function makeHead(width: number, height: number, columns: number): Buffer[] {
  const frame = Buffer.from([8, 0, 0, 0, 0, 3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0]);
  frame.writeUInt16BE(height, 1);
  frame.writeUInt16BE(width, 3);
  const restart = Buffer.alloc(2);
  restart.writeUInt16BE(columns);
  const dcCounts = [0, 0, 0, SIZES.length, ...Array<number>(12).fill(0)];
  const acCounts = [1, ...Array<number>(15).fill(0)];
  return [
    Buffer.from('ffd8', 'hex'),
    makeSegment(0xe0, Buffer.from('JFIF\0\x01\x01\0\0\x01\0\x01\0\0', 'latin1')),
    makeSegment(0xdb, Buffer.from([0, ...Array<number>(64).fill(QUANTISER)])),
    makeSegment(0xc0, frame),
    makeSegment(0xc4, Buffer.from([0x00, ...dcCounts, ...SIZES])),
    makeSegment(0xc4, Buffer.from([0x10, ...acCounts, 0])),
    makeSegment(0xdd, restart),
    makeSegment(0xda, Buffer.from([3, 1, 0, 2, 0, 3, 0, 0, 63, 0])),
  ];
}

function makeSegment(marker: number, data: Buffer): Buffer {
  const segment = Buffer.alloc(4 + data.length);
  segment.set([0xff, marker]);
  segment.writeUInt16BE(data.length + 2, 2);
  data.copy(segment, 4);
  return segment;
}

function encodeRow(columns: number, colourAt: (column: number) => Rgb): Buffer {
  let bits = '';
  let last: Rgb = [128, 128, 128];
  for (let column = 0; column < columns; column += 1) {
    const mean = toYcc(colourAt(column));
    mean.forEach((value, component) => {
      bits += encodeDifference(value - (last[component] ?? 0)) + END_OF_BLOCK_BITS;
    });
    last = mean;
  }
  return packBits(bits);
}

function toYcc([red, green, blue]: Rgb): Rgb {
  const clamp = (value: number): number => Math.min(255, Math.max(0, Math.round(value)));
  const luma = 0.299 * red + 0.587 * green + 0.114 * blue;
  return [clamp(luma), clamp(128 + (blue - luma) / 1.772), clamp(128 + (red - luma) / 1.402)];
}

/** The size of a difference and its bits; a negative one is coded as its ones' complement. */
function encodeDifference(difference: number): string {
  const size = difference === 0 ? 0 : Math.floor(Math.log2(Math.abs(difference))) + 1;
  const code = size.toString(2).padStart(SIZE_CODE_BITS, '0');
  if (size === 0) return code;
  const value = difference > 0 ? difference : difference + 2 ** size - 1;
  return code + value.toString(2).padStart(size, '0');
}

/** Bits to bytes, filled up with ones; a byte of 0xff is followed by 0, as no marker may appear. */
function packBits(bits: string): Buffer {
  const bytes: number[] = [];
  for (let at = 0; at < bits.length; at += 8) {
    const byte = parseInt(bits.slice(at, at + 8).padEnd(8, '1'), 2);
    bytes.push(byte);
    if (byte === 0xff) bytes.push(0);
  }
  return Buffer.from(bytes);
}
