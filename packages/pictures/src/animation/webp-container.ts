/** The container of a WebP file: RIFF with chunks of an even number of bytes (RFC 9649). */

const RIFF_HEADER_BYTES = 12;
const CHUNK_HEADER_BYTES = 8;
/** In the first byte of a VP8X chunk. */
const HAS_EXIF = 0x08;
const HAS_ALPHA = 0x10;

interface RiffChunk {
  readonly name: string;
  readonly data: Buffer;
}

/**
 * A WebP file with an EXIF block. A plain one gets the extended header that says so.
 * @param size of the picture in pixels
 */
export function addWebpExif(
  webp: Uint8Array,
  exif: Uint8Array,
  size: { readonly width: number; readonly height: number },
): Uint8Array {
  const chunks = readChunks(webp).filter(({ name }) => name !== 'EXIF');
  const [first] = chunks;
  if (first?.name === 'VP8X') {
    const data = Buffer.from(first.data);
    data.writeUInt8(data.readUInt8(0) | HAS_EXIF, 0);
    chunks[0] = { name: 'VP8X', data };
  } else {
    chunks.unshift({ name: 'VP8X', data: createExtendedHeader(size, hasLosslessAlpha(first)) });
  }
  return joinChunks([...chunks, { name: 'EXIF', data: Buffer.from(exif) }]);
}

function readChunks(webp: Uint8Array): RiffChunk[] {
  const bytes = Buffer.from(webp.buffer, webp.byteOffset, webp.byteLength);
  const chunks: RiffChunk[] = [];
  for (let at = RIFF_HEADER_BYTES; at + CHUNK_HEADER_BYTES <= bytes.length;) {
    const length = bytes.readUInt32LE(at + 4);
    const from = at + CHUNK_HEADER_BYTES;
    chunks.push({
      name: bytes.toString('latin1', at, at + 4),
      data: bytes.subarray(from, from + length),
    });
    at = from + length + (length % 2);
  }
  return chunks;
}

/** Plain lossy files have none; a plain lossless one says it in its header. */
function hasLosslessAlpha(chunk: RiffChunk | undefined): boolean {
  return chunk?.name === 'VP8L' && ((chunk.data.readUInt32LE(1) >>> 28) & 1) === 1;
}

function createExtendedHeader(
  { width, height }: { readonly width: number; readonly height: number },
  hasAlpha: boolean,
): Buffer {
  const data = Buffer.alloc(10);
  data.writeUInt8(HAS_EXIF | (hasAlpha ? HAS_ALPHA : 0), 0);
  data.writeUIntLE(width - 1, 4, 3);
  data.writeUIntLE(height - 1, 7, 3);
  return data;
}

function joinChunks(chunks: readonly RiffChunk[]): Buffer {
  const parts = chunks.flatMap(({ name, data }) => {
    const head = Buffer.alloc(CHUNK_HEADER_BYTES);
    head.write(name, 0, 'latin1');
    head.writeUInt32LE(data.length, 4);
    return [head, data, Buffer.alloc(data.length % 2)];
  });
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const head = Buffer.alloc(RIFF_HEADER_BYTES);
  head.write('RIFF', 0, 'latin1');
  head.writeUInt32LE(length + 4, 4);
  head.write('WEBP', 8, 'latin1');
  return Buffer.concat([head, ...parts]);
}
