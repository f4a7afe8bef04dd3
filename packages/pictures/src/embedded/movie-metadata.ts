/**
 * Metadata of MP4 and QuickTime files: `moov/udta/meta` or `moov/meta` with `ilst`. Its entries have numbers of the
 * names in `keys` (as ffmpeg writes them with use_metadata_tags, and ComfyUI's SaveVideo with it), codes of four
 * letters (iTunes), or names of their own (`----`).
 */
const COMMENT_CODE = '\xa9cmt';
/** Damaged files could name any number. */
const MAX_BOXES = 100_000;

interface Box {
  readonly type: string;
  readonly data: Buffer;
}

export function readMovieMetadata(file: Buffer): [name: string, text: string][] {
  const movie = find(listBoxes(file), 'moov');
  if (movie === undefined) return [];
  const inside = [...listBoxes(movie)];
  const userData = find(inside, 'udta');
  const places = [...inside, ...(userData === undefined ? [] : listBoxes(userData))];
  return places.filter(({ type }) => type === 'meta').flatMap(({ data }) => readMeta(data));
}

function readMeta(meta: Buffer): [string, string][] {
  // QuickTime's has no version before its boxes.
  const isPlain = meta.toString('latin1', 4, 8) === 'hdlr';
  const boxes = [...listBoxes(isPlain ? meta : meta.subarray(4))];
  const keys = readKeys(find(boxes, 'keys'));
  const list = find(boxes, 'ilst');
  if (list === undefined) return [];
  return [...listBoxes(list)].flatMap(({ type, data }): [string, string][] => {
    const parts = [...listBoxes(data)];
    const value = find(parts, 'data');
    const name = nameEntry(type, parts, keys);
    // Before the text stand its kind and its language.
    return value === undefined || name === undefined ? [] : [[name, value.toString('utf8', 8)]];
  });
}

function nameEntry(
  type: string,
  parts: readonly Box[],
  keys: readonly string[],
): string | undefined {
  if (type === COMMENT_CODE) return 'comment';
  if (type === '----') return find(parts, 'name')?.toString('utf8', 4);
  return keys[Buffer.from(type, 'latin1').readUInt32BE(0) - 1];
}

/** Version, count, and for each its length, a namespace, and the name. */
function readKeys(keys: Buffer | undefined): readonly string[] {
  return keys === undefined
    ? []
    : [...listBoxes(keys.subarray(8))].map(({ data }) => data.toString('utf8'));
}

function find(boxes: Iterable<Box>, wanted: string): Buffer | undefined {
  for (const { type, data } of boxes) if (type === wanted) return data;
  return undefined;
}

/** Length, type, data; up to the first that is not whole. */
function* listBoxes(bytes: Buffer): Generator<Box> {
  let at = 0;
  for (let count = 0; count < MAX_BOXES && at + 8 <= bytes.length; count += 1) {
    let head = 8;
    let length = bytes.readUInt32BE(at);
    if (length === 1) {
      if (at + 16 > bytes.length) return;
      head = 16;
      length = Number(bytes.readBigUInt64BE(at + 8));
    } else if (length === 0) {
      length = bytes.length - at;
    }
    if (length < head || at + length > bytes.length) return;
    const type = bytes.toString('latin1', at + 4, at + 8);
    yield { type, data: bytes.subarray(at + head, at + length) };
    at += length;
  }
}
