import { makeChunk, writePng } from './png.ts';

/** Small files with texts in their metadata, as the programs that people use write them. */

type Texts = Readonly<Record<string, string>>;

const UNTIL_LAST = -12;

/** A picture with a text chunk for each: tEXt, or chunks of ComfyUI's SaveAnimatedPNG. */
export function pngWithTexts(texts: Texts, type: 'tEXt' | 'comf' = 'tEXt'): Buffer {
  const png = writePng(1, 1, Buffer.from([0, 1, 2, 3]));
  const chunks = Object.entries(texts).map(([name, text]) =>
    makeChunk(type, Buffer.from(`${name}\0${text}`, 'latin1')),
  );
  // Before IEND.
  return Buffer.concat([png.subarray(0, UNTIL_LAST), ...chunks, png.subarray(UNTIL_LAST)]);
}

/** A WebP's container with EXIF as ComfyUI's SaveAnimatedWEBP writes it. */
export function webpWithTexts(texts: Texts): Buffer {
  const body = Buffer.concat([
    Buffer.from('WEBP', 'latin1'),
    riffChunk('VP8X', Buffer.alloc(10)),
    riffChunk('EXIF', exif(texts)),
  ]);
  return Buffer.concat([Buffer.from('RIFF', 'latin1'), little(body.length), body]);
}

/** A JPEG of no picture, with EXIF. */
export function jpegWithTexts(texts: Texts): Buffer {
  const data = Buffer.concat([Buffer.from('Exif\0\0', 'latin1'), exif(texts)]);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(data.length + 2);
  return Buffer.concat([
    Buffer.from([0xff, 0xd8, 0xff, 0xe1]),
    length,
    data,
    Buffer.from([0xff, 0xda, 0, 2, 0xff, 0xd9]),
  ]);
}

function riffChunk(type: string, data: Buffer): Buffer {
  const pad = Buffer.alloc(data.length % 2);
  return Buffer.concat([Buffer.from(type, 'latin1'), little(data.length), data, pad]);
}

/** One directory of ASCII entries: Model, and the tags below it. */
function exif(texts: Texts): Buffer {
  const values = Object.entries(texts).map(([name, text]) => Buffer.from(`${name}:${text}\0`));
  const count = Buffer.alloc(2);
  count.writeUInt16LE(values.length);
  let at = 8 + 2 + values.length * 12 + 4;
  const entries = values.map((value, index) => {
    const entry = Buffer.alloc(12);
    entry.writeUInt16LE(0x0110 - index, 0);
    entry.writeUInt16LE(2, 2);
    entry.writeUInt32LE(value.length, 4);
    entry.writeUInt32LE(at, 8);
    at += value.length;
    return entry;
  });
  return Buffer.concat([
    Buffer.from('II*\0\x08\0\0\0', 'latin1'),
    count,
    ...entries,
    Buffer.alloc(4),
    ...values,
  ]);
}

/**
 * A video's container as ffmpeg writes it with use_metadata_tags: an MP4, or a QuickTime file, whose metadata lie
 * one level higher.
 */
export function movieWithTexts(texts: Texts, kind: 'mp4' | 'mov' = 'mp4'): Buffer {
  const names = Object.keys(texts);
  const keys = box(
    'keys',
    Buffer.alloc(4),
    big(names.length),
    ...names.map((name) => box('mdta', Buffer.from(name))),
  );
  const entries = names.map((name, index) => {
    const data = box('data', big(1), big(0), Buffer.from(texts[name] ?? ''));
    const entry = box('....', data);
    entry.writeUInt32BE(index + 1, 4);
    return entry;
  });
  const handler = box('hdlr', Buffer.alloc(25));
  const parts = [handler, keys, box('ilst', ...entries)];
  const meta = kind === 'mp4' ? box('meta', Buffer.alloc(4), ...parts) : box('meta', ...parts);
  return movie(kind === 'mp4' ? box('udta', meta) : meta);
}

/** An MP4 whose one text is a comment as iTunes writes it. */
export function movieWithComment(comment: string): Buffer {
  const entry = box('\xa9cmt', box('data', big(1), big(0), Buffer.from(comment)));
  const parts = [box('hdlr', Buffer.alloc(25)), box('ilst', entry)];
  return movie(box('udta', box('meta', Buffer.alloc(4), ...parts)));
}

function movie(...inside: readonly Buffer[]): Buffer {
  return Buffer.concat([
    box('ftyp', Buffer.from('isom', 'latin1'), big(512)),
    box('mdat', Buffer.alloc(100)),
    box('moov', box('mvhd', Buffer.alloc(100)), ...inside),
  ]);
}

function box(type: string, ...parts: readonly Buffer[]): Buffer {
  const data = Buffer.concat(parts);
  return Buffer.concat([big(data.length + 8), Buffer.from(type, 'latin1'), data]);
}

/** A WebM's container with tags, whose names ffmpeg writes in capitals. */
export function webmWithTexts(texts: Texts): Buffer {
  const tags = Object.entries(texts).map(([name, text]) =>
    element(
      '67c8',
      element('45a3', Buffer.from(name.toUpperCase())),
      element('4487', Buffer.from(text)),
    ),
  );
  const inside = Buffer.concat([
    element('1549a966', element('2ad7b1', big(1_000_000))),
    element('1f43b675', Buffer.alloc(300)),
    element('1254c367', element('7373', ...tags)),
  ]);
  // A segment of unknown length, as one that is streamed has.
  const segment = Buffer.concat([
    Buffer.from('18538067', 'hex'),
    Buffer.from('01ffffffffffffff', 'hex'),
  ]);
  return Buffer.concat([
    element('1a45dfa3', element('4282', Buffer.from('webm'))),
    segment,
    inside,
  ]);
}

function element(id: string, ...parts: readonly Buffer[]): Buffer {
  const data = Buffer.concat(parts);
  const size = Buffer.alloc(8);
  size.writeBigUInt64BE(BigInt(data.length) | (1n << 56n));
  return Buffer.concat([Buffer.from(id, 'hex'), size, data]);
}

function big(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function little(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
