import { Readable } from 'node:stream';

/** A file in memory, to be read in parts. */
export function fileOf(bytes: Uint8Array): { sizeBytes: number; read: () => Readable } {
  return { sizeBytes: bytes.length, read: () => Readable.from([bytes]) };
}
