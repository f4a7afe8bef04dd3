/** EXIF text: type 2 is ASCII, which programs fill with UTF-8; 7 is anything, a comment among it. */
const TEXT_TYPES: ReadonlySet<number> = new Set([2, 7]);
const SUB_DIRECTORY = 0x8769;
const ENTRY_BYTES = 12;
/** Damaged files could name any number. */
const MAX_ENTRIES = 1_000;

/**
 * Texts of the form `name:text` in EXIF data, whichever tags have them: ComfyUI's savers write `prompt:{...}` and
 * `workflow:{...}` into Model, Make and the tags below.
 */
export function readExifTexts(exif: Buffer | undefined): [name: string, text: string][] {
  if (exif === undefined || exif.length < 8) return [];
  const order = exif.toString('latin1', 0, 2);
  if (order !== 'II' && order !== 'MM') return [];
  const reader = new ExifReader(exif, order === 'II');
  const first = reader.readLong(4);
  const texts = first === undefined ? [] : reader.readDirectory(first, true);
  return texts.flatMap((text): [string, string][] => {
    const colon = text.indexOf(':');
    return colon > 0 ? [[text.slice(0, colon).trim(), text.slice(colon + 1)]] : [];
  });
}

class ExifReader {
  readonly #bytes: Buffer;
  readonly #isLittle: boolean;

  constructor(bytes: Buffer, isLittle: boolean) {
    this.#bytes = bytes;
    this.#isLittle = isLittle;
  }

  readLong(at: number): number | undefined {
    if (at + 4 > this.#bytes.length) return undefined;
    return this.#isLittle ? this.#bytes.readUInt32LE(at) : this.#bytes.readUInt32BE(at);
  }

  #readShort(at: number): number | undefined {
    if (at + 2 > this.#bytes.length) return undefined;
    return this.#isLittle ? this.#bytes.readUInt16LE(at) : this.#bytes.readUInt16BE(at);
  }

  /** @param follow whether to look into the directory that it names */
  readDirectory(start: number, follow: boolean): string[] {
    const count = Math.min(this.#readShort(start) ?? 0, MAX_ENTRIES);
    const texts: string[] = [];
    for (let index = 0; index < count; index += 1) {
      const at = start + 2 + index * ENTRY_BYTES;
      const [tag, type] = [this.#readShort(at), this.#readShort(at + 2)];
      const [length, value] = [this.readLong(at + 4), this.readLong(at + 8)];
      if (type === undefined || length === undefined || value === undefined) break;
      if (tag === SUB_DIRECTORY && follow) texts.push(...this.readDirectory(value, false));
      // Up to four bytes stand in the entry itself.
      if (!TEXT_TYPES.has(type) || length <= 4) continue;
      texts.push(readText(this.#bytes.subarray(value, value + length)));
    }
    return texts;
  }
}

/** Without the name of its alphabet, which a user's comment has before it, and the NUL at its end. */
function readText(bytes: Buffer): string {
  const isNamed = /^(?:ASCII|UNICODE)\0/.test(bytes.toString('latin1', 0, 8));
  return (isNamed ? bytes.subarray(8) : bytes).toString('utf8').replace(/\0+$/, '');
}
