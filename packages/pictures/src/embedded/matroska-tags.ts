/** Elements that hold others which may be tags (RFC 9559). */
const SEGMENT = 0x18538067;
const TAGS = 0x1254c367;
const TAG = 0x7373;
const SIMPLE_TAG = 0x67c8;
const TAG_NAME = 0x45a3;
const TAG_STRING = 0x4487;
const HOLDERS: ReadonlySet<number> = new Set([SEGMENT, TAGS, TAG, SIMPLE_TAG]);
/** Damaged files could name any number. */
const MAX_ELEMENTS = 1_000_000;

/** The tags of a WebM or Matroska file, in its order. */
export function readMatroskaTags(file: Buffer): [name: string, text: string][] {
  const tags: [string, string][] = [];
  let name: string | undefined;
  let at = 0;
  for (let count = 0; count < MAX_ELEMENTS && at < file.length; count += 1) {
    const id = readNumber(file, at, 'with its mark');
    const size = id && readNumber(file, at + id.length, 'without');
    if (id === undefined || size === undefined) break;
    const start = at + id.length + size.length;
    // What a live stream has not measured is looked into, for its end is not known.
    if (HOLDERS.has(id.value) || size.isUnknown) {
      at = start;
      continue;
    }
    const end = start + size.value;
    if (end > file.length) break;
    if (id.value === TAG_NAME) name = file.toString('utf8', start, end);
    if (id.value === TAG_STRING && name !== undefined) {
      tags.push([name, file.toString('utf8', start, end).replace(/\0+$/, '')]);
      name = undefined;
    }
    at = end;
  }
  return tags;
}

interface VariableNumber {
  readonly value: number;
  readonly length: number;
  /** All bits set. */
  readonly isUnknown: boolean;
}

/** A number of one to eight bytes, whose first set bit tells how many; ids keep that mark. */
function readNumber(
  bytes: Buffer,
  at: number,
  mark: 'with its mark' | 'without',
): VariableNumber | undefined {
  const first = bytes[at];
  if (first === undefined || first === 0) return undefined;
  const length = Math.clz32(first) - 23;
  if (at + length > bytes.length) return undefined;
  const rest = 0xff >> length;
  let value = mark === 'without' ? first & rest : first;
  let isUnknown = (first & rest) === rest;
  for (let index = 1; index < length; index += 1) {
    const byte = bytes[at + index] ?? 0;
    value = value * 256 + byte;
    isUnknown &&= byte === 0xff;
  }
  return { value, length, isUnknown };
}
