import { inRows, inSlices } from '../work/slices.ts';
import type { RawFrame } from './open-picture.ts';

/**
 * BMP, which libvips does not read: all kinds that Pillow reads (1, 4, 8, 16, 24 and 32 bits, RLE, bit fields, from
 * the bottom or from the top), by Microsoft's description of the format.
 */
export interface BmpHeader {
  /** Pixels. */
  readonly width: number;
  readonly height: number;
  readonly isTopDown: boolean;
  readonly bits: 1 | 2 | 4 | 8 | 16 | 24 | 32;
  readonly packing: 'plain' | 'rle';
  /** Bits of red, green, blue and alpha in a pixel of 16 or 32 bits. */
  readonly masks: readonly [red: number, green: number, blue: number, alpha: number];
  readonly hasAlpha: boolean;
  readonly paletteAt: number;
  /** Bytes: 3 in the oldest kind, else 4. */
  readonly paletteEntryBytes: number;
  readonly paletteLength: number;
  readonly pixelsAt: number;
}

const FILE_HEADER_BYTES = 14;
/** The oldest kind, of OS/2. */
const CORE_HEADER_BYTES = 12;
const INFO_HEADER_BYTES = 40;
const OS2_V2_HEADER_BYTES = 64;
const RGB = 0;
const RLE8 = 1;
const RLE4 = 2;
const BITFIELDS = 3;
const ALPHA_BITFIELDS = 6;
const DEFAULT_MASKS = {
  16: [0x7c00, 0x03e0, 0x001f, 0],
  32: [0xff0000, 0x00ff00, 0x0000ff, 0],
} as const;

/** @returns undefined for a kind that is not read, and for what is damaged */
export function readBmpHeader(file: Uint8Array): BmpHeader | undefined {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.byteLength < FILE_HEADER_BYTES + CORE_HEADER_BYTES) return undefined;
  const headerBytes = view.getUint32(FILE_HEADER_BYTES, true);
  const pixelsAt = view.getUint32(10, true);
  const paletteAt = FILE_HEADER_BYTES + headerBytes;
  if (headerBytes === CORE_HEADER_BYTES) {
    const bits = toBits(view.getUint16(24, true));
    const [width, height] = [view.getUint16(18, true), view.getUint16(20, true)];
    if (bits === undefined || bits === 16 || bits === 32 || width === 0 || height === 0) return;
    return {
      ...{ width, height, bits, isTopDown: false, packing: 'plain', hasAlpha: false },
      ...{
        masks: [0, 0, 0, 0],
        paletteAt,
        paletteEntryBytes: 3,
        paletteLength: bits > 8 ? 0 : 2 ** bits,
      },
      pixelsAt,
    };
  }
  if (headerBytes < INFO_HEADER_BYTES || file.byteLength < FILE_HEADER_BYTES + INFO_HEADER_BYTES) {
    return undefined;
  }
  const bits = toBits(view.getUint16(28, true));
  const width = view.getInt32(18, true);
  const height = view.getInt32(22, true);
  if (bits === undefined || width <= 0 || height === 0) return undefined;
  const compression = view.getUint32(30, true);
  const packing = packingOf(compression, bits);
  if (packing === undefined) return undefined;
  const fields = compression === BITFIELDS || compression === ALPHA_BITFIELDS;
  const masks = fields
    ? readMasks(view, headerBytes, compression)
    : DEFAULT_MASKS[bits === 16 ? 16 : 32];
  if (masks === undefined) return undefined;
  const isOldHeader = headerBytes === INFO_HEADER_BYTES;
  const masksBehind = fields && isOldHeader ? (compression === BITFIELDS ? 12 : 16) : 0;
  const colours = view.getUint32(46, true);
  return {
    ...{ width, height: Math.abs(height), bits, isTopDown: height < 0, packing, masks },
    hasAlpha: fields && masks[3] !== 0,
    paletteAt: paletteAt + masksBehind,
    paletteEntryBytes: 4,
    paletteLength: bits > 8 ? 0 : Math.min(2 ** bits, colours === 0 ? 2 ** bits : colours),
    pixelsAt,
  };
}

function toBits(value: number): BmpHeader['bits'] | undefined {
  return ([1, 2, 4, 8, 16, 24, 32] as const).find((bits) => bits === value);
}

function packingOf(compression: number, bits: number): BmpHeader['packing'] | undefined {
  if (compression === RGB) return 'plain';
  if (compression === RLE8 && bits === 8) return 'rle';
  if (compression === RLE4 && bits === 4) return 'rle';
  const hasFields = compression === BITFIELDS || compression === ALPHA_BITFIELDS;
  return hasFields && (bits === 16 || bits === 32) ? 'plain' : undefined;
}

/** They follow the first 40 bytes of the header, or are its next ones. */
function readMasks(
  view: DataView,
  headerBytes: number,
  compression: number,
): BmpHeader['masks'] | undefined {
  const at = FILE_HEADER_BYTES + INFO_HEADER_BYTES;
  const hasAlpha =
    compression === ALPHA_BITFIELDS ||
    (headerBytes > INFO_HEADER_BYTES + 12 && headerBytes !== OS2_V2_HEADER_BYTES);
  if (view.byteLength < at + (hasAlpha ? 16 : 12)) return undefined;
  const read = (index: number) => view.getUint32(at + index * 4, true);
  return [read(0), read(1), read(2), hasAlpha ? read(3) : 0];
}

/**
 * Decodes the pixels. What a file cut short lacks is black, or the first colour of the palette.
 * @throws the reason of the signal
 */
export async function decodeBmp(
  file: Uint8Array,
  header: BmpHeader,
  signal?: AbortSignal,
): Promise<RawFrame> {
  const { width, height, bits, isTopDown, hasAlpha } = header;
  const channels = hasAlpha ? 4 : 3;
  const data = new Uint8Array(width * height * channels);
  const stride = Math.ceil((width * bits) / 32) * 4;
  const source =
    header.packing === 'rle'
      ? { bytes: await unpackRle(file, header, stride, signal), at: 0 }
      : { bytes: file, at: header.pixelsAt };
  const readRow = createRowReader(file, header);
  await inRows(
    header,
    (y) => {
      const row = source.at + (isTopDown ? y : height - 1 - y) * stride;
      readRow(source.bytes.subarray(row, row + stride), data, y * width * channels);
    },
    signal,
  );
  return { width, height, channels, data };
}

type RowReader = (row: Uint8Array, data: Uint8Array, at: number) => void;

function createRowReader(file: Uint8Array, header: BmpHeader): RowReader {
  const { width, bits } = header;
  switch (bits) {
    case 24:
      return (row, data, at) => {
        for (let x = 0, from = 0, to = at; x < width; x += 1, from += 3, to += 3) {
          data[to] = row[from + 2] ?? 0;
          data[to + 1] = row[from + 1] ?? 0;
          data[to + 2] = row[from] ?? 0;
        }
      };
    case 16:
    case 32:
      return createFieldReader(header);
    default:
      return createPaletteReader(file, header, bits);
  }
}

function createPaletteReader(
  file: Uint8Array,
  { width, paletteAt, paletteEntryBytes, paletteLength }: BmpHeader,
  bits: number,
): RowReader {
  const palette = new Uint8Array(256 * 3);
  for (let i = 0; i < paletteLength; i += 1) {
    const at = paletteAt + i * paletteEntryBytes;
    palette.set([file[at + 2] ?? 0, file[at + 1] ?? 0, file[at] ?? 0], i * 3);
  }
  const perByte = 8 / bits;
  const mask = 2 ** bits - 1;
  return (row, data, at) => {
    for (let x = 0, to = at; x < width; x += 1, to += 3) {
      const byte = row[Math.floor(x / perByte)] ?? 0;
      const index = ((byte >> (8 - bits * ((x % perByte) + 1))) & mask) * 3;
      data[to] = palette[index] ?? 0;
      data[to + 1] = palette[index + 1] ?? 0;
      data[to + 2] = palette[index + 2] ?? 0;
    }
  };
}

function createFieldReader({ width, bits, masks, hasAlpha }: BmpHeader): RowReader {
  const channels = hasAlpha ? 4 : 3;
  const fields = masks.slice(0, channels).map((mask) => {
    const shift = mask === 0 ? 0 : 31 - Math.clz32(mask & -mask);
    return { shift, most: mask >>> shift };
  });
  const pixelBytes = bits / 8;
  return (row, data, at) => {
    for (let x = 0, to = at; x < width; x += 1) {
      const from = x * pixelBytes;
      const low = (row[from] ?? 0) | ((row[from + 1] ?? 0) << 8);
      const value =
        bits === 16 ? low : low | ((row[from + 2] ?? 0) << 16) | ((row[from + 3] ?? 0) << 24);
      for (const { shift, most } of fields) {
        // Every width of a field is stretched to the full range, as 5 bits to 0..255.
        data[to++] = most === 0 ? 0 : Math.floor((((value >>> shift) & most) * 255) / most);
      }
    }
  };
}

/** Run lengths to rows of plain indices, in the file's order of rows. */
async function unpackRle(
  file: Uint8Array,
  { width, height, bits, pixelsAt }: BmpHeader,
  stride: number,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const rows = new Uint8Array(stride * height);
  const put = (x: number, y: number, index: number) => {
    if (x >= width || y >= height) return;
    if (bits === 8) {
      rows[y * stride + x] = index;
      return;
    }
    const place = y * stride + (x >> 1);
    const byte = rows[place] ?? 0;
    rows[place] = x % 2 === 0 ? (byte & 0x0f) | (index << 4) : (byte & 0xf0) | index;
  };
  let at = pixelsAt;
  let x = 0;
  let y = 0;
  let hasEnded = false;
  const step = () => {
    const count = file[at] ?? 0;
    const value = file[at + 1] ?? 1; // behind the end of the file: the end of the picture
    at += 2;
    if (count > 0) {
      for (let i = 0; i < count; i += 1, x += 1) {
        put(x, y, bits === 8 ? value : i % 2 === 0 ? value >> 4 : value & 15);
      }
    } else if (value === 0) {
      x = 0;
      y += 1;
    } else if (value === 1) {
      hasEnded = true;
    } else if (value === 2) {
      x += file[at] ?? 0;
      y += file[at + 1] ?? 0;
      at += 2;
    } else {
      for (let i = 0; i < value; i += 1, x += 1) {
        const byte = file[at + (bits === 8 ? i : i >> 1)] ?? 0;
        put(x, y, bits === 8 ? byte : i % 2 === 0 ? byte >> 4 : byte & 15);
      }
      const bytes = bits === 8 ? value : Math.ceil(value / 2);
      at += bytes + (bytes % 2);
    }
  };
  // A code is two bytes at least, so this many steps read the whole file.
  await inSlices(
    Math.ceil(Math.max(0, file.length - pixelsAt) / 2),
    (from, to) => {
      for (let i = from; i < to && !hasEnded && y < height; i += 1) step();
    },
    signal,
  );
  return rows;
}
