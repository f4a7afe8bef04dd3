import { crc32, inflateSync } from 'node:zlib';

export interface PictureFacts {
  readonly format: 'png' | 'jpeg' | 'none';
  readonly width: number;
  readonly height: number;
  /** Every part is there, and whole. */
  readonly isWhole: boolean;
}

/** What the tests of this folder see of a picture; drivers decode them for real. */
export function inspectPicture(bytes: Buffer): PictureFacts {
  if (bytes.toString('latin1', 1, 4) === 'PNG') return inspectPng(bytes);
  if (bytes.toString('hex', 0, 3) === 'ffd8ff') return inspectJpeg(bytes);
  return { format: 'none', width: 0, height: 0, isWhole: false };
}

function inspectPng(bytes: Buffer): PictureFacts {
  const [width, height] = [bytes.readUInt32BE(16), bytes.readUInt32BE(20)];
  const isWhole = isPngWhole(bytes, height * (1 + width * 3));
  return { format: 'png', width, height, isWhole };
}

function isPngWhole(bytes: Buffer, rawBytes: number): boolean {
  let at = 8;
  let isRawWhole = false;
  while (at + 12 <= bytes.length) {
    const end = at + 12 + bytes.readUInt32BE(at);
    if (end > bytes.length) return false;
    const body = bytes.subarray(at + 4, end - 4);
    if (crc32(body) !== bytes.readUInt32BE(end - 4)) return false;
    const type = body.toString('latin1', 0, 4);
    if (type === 'IDAT') isRawWhole = inflateSync(body.subarray(4)).length === rawBytes;
    if (type === 'IEND') return isRawWhole && end === bytes.length;
    at = end;
  }
  return false;
}

function inspectJpeg(bytes: Buffer): PictureFacts {
  const frame = bytes.indexOf(Buffer.from('ffc0', 'hex'));
  const [height, width] = [bytes.readUInt16BE(frame + 5), bytes.readUInt16BE(frame + 7)];
  const isWhole = bytes.toString('hex', bytes.length - 2) === 'ffd9';
  return { format: 'jpeg', width, height, isWhole };
}
