import type { JsonObject } from '@tiercel/contracts';

/** What the recorder noted of a picture. */
export interface PictureFacts {
  readonly image: JsonObject;
  /** The tEXt chunks of a PNG that has some. */
  readonly png_text?: JsonObject;
}

/**
 * Reads a picture's header. Written for this test alone, so that the code under test does not vouch
 * for itself.
 * @throws Error when it is neither PNG, JPEG nor WebP
 */
export function readPictureFacts(bytes: Buffer): PictureFacts {
  if (bytes.toString('latin1', 1, 4) === 'PNG') return readPng(bytes);
  if (bytes.readUInt16BE(0) === 0xffd8) return { image: readJpeg(bytes) };
  if (bytes.toString('latin1', 8, 12) === 'WEBP') return { image: readWebp(bytes) };
  throw new Error(`not a picture: ${bytes.toString('latin1', 0, 16)}`);
}

const PNG_CHANNELS: Readonly<Record<number, number>> = { 0: 1, 2: 3, 4: 2, 6: 4 };

function readPng(bytes: Buffer): PictureFacts {
  const text: Record<string, string> = {};
  for (let at = 8; at < bytes.length;) {
    const length = bytes.readUInt32BE(at);
    if (bytes.toString('latin1', at + 4, at + 8) === 'tEXt') {
      const data = bytes.toString('latin1', at + 8, at + 8 + length);
      const end = data.indexOf('\0');
      text[data.slice(0, end)] = data.slice(end + 1);
    }
    at += 12 + length;
  }
  const channels = PNG_CHANNELS[bytes.readUInt8(25)] ?? 0;
  const image = describe('png', bytes.readUInt32BE(16), bytes.readUInt32BE(20), channels);
  return Object.keys(text).length === 0 ? { image } : { image, png_text: text };
}

function readJpeg(bytes: Buffer): JsonObject {
  let at = 2;
  for (;;) {
    const marker = bytes.readUInt8(at + 1);
    if (marker >= 0xc0 && marker <= 0xc2) break;
    at += 2 + bytes.readUInt16BE(at + 2);
  }
  const [height, width] = [bytes.readUInt16BE(at + 5), bytes.readUInt16BE(at + 7)];
  return describe('jpeg', width, height, bytes.readUInt8(at + 9));
}

function readWebp(bytes: Buffer): JsonObject {
  const kind = bytes.toString('latin1', 12, 16);
  if (kind === 'VP8X') {
    const hasAlpha = (bytes.readUInt8(20) & 0x10) !== 0;
    return describe(
      'webp',
      1 + bytes.readUIntLE(24, 3),
      1 + bytes.readUIntLE(27, 3),
      hasAlpha ? 4 : 3,
    );
  }
  if (kind === 'VP8L') {
    const bits = bytes.readUInt32LE(21);
    const hasAlpha = ((bits >>> 28) & 1) === 1;
    return describe('webp', 1 + (bits & 0x3fff), 1 + ((bits >>> 14) & 0x3fff), hasAlpha ? 4 : 3);
  }
  return describe('webp', bytes.readUInt16LE(26) & 0x3fff, bytes.readUInt16LE(28) & 0x3fff, 3);
}

function describe(format: string, width: number, height: number, channels: number): JsonObject {
  return { format, width, height, channels, hasAlpha: channels % 2 === 0 };
}
