import { crc32 } from 'node:zlib';

/** What every PNG begins with. */
export const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
/** What a chunk of any kind has besides its data: length, type and checksum. */
export const CHUNK_FRAME_BYTES = 12;

/** Length and type. */
export const CHUNK_HEAD_BYTES = 8;

export interface PngChunk {
  readonly type: string;
  readonly data: Buffer;
  /** Length, type, data and checksum, as in the file. */
  readonly raw: Buffer;
}

/** The chunks of a PNG, up to the first that is not whole; none of anything else. */
export function* readPngChunks(file: Uint8Array): Generator<PngChunk> {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  if (!bytes.subarray(0, SIGNATURE.length).equals(SIGNATURE)) return;
  for (let at = SIGNATURE.length; at + CHUNK_FRAME_BYTES <= bytes.length;) {
    const end = at + CHUNK_FRAME_BYTES + bytes.readUInt32BE(at);
    if (end > bytes.length) return;
    const type = bytes.toString('latin1', at + 4, at + 8);
    yield { type, data: bytes.subarray(at + 8, end - 4), raw: bytes.subarray(at, end) };
    at = end;
  }
}

/** A chunk as it is in a file: length, type, data, checksum. */
export function pngChunk(type: string, ...parts: readonly Uint8Array[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const out = Buffer.allocUnsafe(length + CHUNK_FRAME_BYTES);
  out.writeUInt32BE(length, 0);
  out.write(type, 4, 'latin1');
  let at = 8;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  out.writeUInt32BE(crc32(out.subarray(4, at)), at);
  return out;
}
