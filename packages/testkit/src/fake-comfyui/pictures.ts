import { createHash } from 'node:crypto';
import { makeChunk, writePng } from '../png.ts';

/** One picture of a batch: of one colour, or an uploaded file as it is. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  /** 0xRRGGBB. */
  readonly colour: number;
  /** The file that was loaded; absent when the picture is drawn from its colour. */
  readonly png?: Buffer;
}

const SIGNATURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
/** Signature and IHDR chunk: text chunks go behind them. */
const HEAD_BYTES = 33;
const MAX_DRAWN = 64;
/** Compressing is the only slow thing here, and benchmarks draw the same picture again and again. */
const drawn = new Map<string, Buffer>();

/** A PNG file with tEXt chunks, as SaveImage writes it. */
export function encodePng(picture: Picture, texts: Readonly<Record<string, string>> = {}): Buffer {
  const plain = picture.png ?? drawPng(picture);
  const chunks = Object.entries(texts).map(([key, text]) =>
    makeChunk('tEXt', Buffer.from(`${key}\0${text}`, 'latin1')),
  );
  return Buffer.concat([plain.subarray(0, HEAD_BYTES), ...chunks, plain.subarray(HEAD_BYTES)]);
}

function drawPng({ width, height, colour }: Picture): Buffer {
  const key = `${width}x${height} ${colour}`;
  const known = drawn.get(key);
  if (known !== undefined) return known;
  const row = Buffer.alloc(1 + width * 3);
  for (let x = 0; x < width; x += 1) row.writeUIntBE(colour, 1 + x * 3, 3);
  const png = writePng(width, height, Buffer.concat(Array<Buffer>(height).fill(row)));
  if (drawn.size >= MAX_DRAWN) drawn.clear();
  drawn.set(key, png);
  return png;
}

/** The picture in an uploaded file. A PNG keeps its bytes; of anything else only a colour remains. */
export function readPicture(bytes: Buffer): Picture {
  const colour = colourOf(bytes);
  if (!bytes.subarray(0, SIGNATURE.length).equals(SIGNATURE) || bytes.length < HEAD_BYTES) {
    return { width: 64, height: 64, colour };
  }
  return { width: bytes.readUInt32BE(16), height: bytes.readUInt32BE(20), colour, png: bytes };
}

/** A colour that tells inputs apart. */
export function colourOf(content: string | Buffer): number {
  return createHash('sha256').update(content).digest().readUIntBE(0, 3);
}

/** A JPEG of 16x16 pixels. */
const JPEG = Buffer.from(
  '/9j/2wBDAA0JCgsKCA0LCgsODg0PEyAVExISEyccHhcgLikxMC4pLSwzOko+MzZGNywtQFdBRkxOUlNSMj5aYVpQYEpR' +
    'Uk//2wBDAQ4ODhMREyYVFSZPNS01T09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09P' +
    'T0//wAARCAAQABADASIAAhEBAxEB/8QAFQABAQAAAAAAAAAAAAAAAAAAAAL/xAAUEAEAAAAAAAAAAAAAAAAAAAAA/8QA' +
    'FAEBAAAAAAAAAAAAAAAAAAAABf/EABQRAQAAAAAAAAAAAAAAAAAAAAD/2gAMAwEAAhEDEQA/AJADn3//2Q==',
  'base64',
);
/** The JFIF header that Pillow writes, and sharp leaves out. */
const JFIF = Buffer.from('ffe000104a46494600010100000100010000', 'hex');

/** A preview in JPEG of at least that many bytes (decoders ignore what follows a picture's end). */
export function makePreview(minBytes: number): Buffer {
  const jpeg = Buffer.concat([JPEG.subarray(0, 2), JFIF, JPEG.subarray(2)]);
  return Buffer.concat([jpeg, Buffer.alloc(Math.max(0, minBytes - jpeg.length))]);
}
