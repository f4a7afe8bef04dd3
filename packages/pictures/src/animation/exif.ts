/** Where ComfyUI writes what a picture was made from, in files that have no text chunks (EXIF 3.0, section 4.6). */
const TAG_MODEL = 0x0110;
const TAG_MAKE = 0x010f;
const TYPE_ASCII = 2;
const HEADER_BYTES = 8;
const ENTRY_BYTES = 12;
/** A text this short lies in its entry. */
const INLINE_BYTES = 4;

/**
 * An EXIF block, little-endian TIFF, with the texts that ComfyUI puts into its WebP files: the prompt as `Model`, the
 * others from `Make` downwards, each with its name and a colon in front.
 */
export function createExif(texts: readonly (readonly [name: string, text: string])[]): Buffer {
  let nextTag = TAG_MAKE;
  const entries = texts
    .map(([name, text]) => ({
      tag: name === 'prompt' ? TAG_MODEL : nextTag--,
      value: Buffer.from(`${name}:${text}\0`, 'utf8'),
    }))
    .sort((a, b) => a.tag - b.tag);
  const directory = Buffer.alloc(HEADER_BYTES + 2 + entries.length * ENTRY_BYTES + 4);
  directory.write('II*\0', 0, 'latin1');
  directory.writeUInt32LE(HEADER_BYTES, 4);
  directory.writeUInt16LE(entries.length, HEADER_BYTES);
  const values: Buffer[] = [];
  let end = directory.length;
  for (const [index, { tag, value }] of entries.entries()) {
    const at = HEADER_BYTES + 2 + index * ENTRY_BYTES;
    directory.writeUInt16LE(tag, at);
    directory.writeUInt16LE(TYPE_ASCII, at + 2);
    directory.writeUInt32LE(value.length, at + 4);
    if (value.length <= INLINE_BYTES) {
      value.copy(directory, at + 8);
      continue;
    }
    directory.writeUInt32LE(end, at + 8);
    // Values begin at even places.
    const padded = value.length % 2 === 0 ? value : Buffer.concat([value, Buffer.alloc(1)]);
    values.push(padded);
    end += padded.length;
  }
  return Buffer.concat([directory, ...values]);
}
