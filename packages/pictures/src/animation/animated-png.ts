import { encodePng } from '../png/png.ts';
import { pngChunk, readPngChunks, SIGNATURE } from '../png/png-chunks.ts';
import type { FrameSequence } from './animated-webp.ts';

/** A fraction of a second is written in two bytes each. */
const MAX_DELAY = 0xffff;

export interface AnimatedPngOptions {
  /** How long each frame is shown. */
  readonly frameMs: number;
  /** zlib's compression level, 0 to 9. */
  readonly level: number;
  /** Name and ASCII text of what the file was made from: ComfyUI's `comf` chunks, behind the pixels. */
  readonly texts?: readonly (readonly [name: string, text: string])[];
  readonly signal?: AbortSignal;
}

/**
 * Encodes frames as an animated PNG that repeats for ever (PNG third edition, section 11.3.6), part by part. Frames
 * that are equal to the one before make that one last longer, as Pillow has it.
 * @throws the reason of the signal
 */
export async function* streamAnimatedPng(
  sequence: FrameSequence,
  options: AnimatedPngOptions,
): AsyncGenerator<Uint8Array> {
  const { level, frameMs, texts = [], signal } = options;
  const shown = countRepeats(sequence.frames);
  let number = 0;
  for (const [index, { frame, times }] of shown.entries()) {
    const png = await encodePng({ ...sequence, data: frame }, { level, ...(signal && { signal }) });
    const chunks = [...readPngChunks(png)];
    if (index === 0) {
      yield SIGNATURE;
      for (const { type, raw } of chunks) if (type === 'IHDR') yield raw;
      if (shown.length > 1) yield createAnimationControl(shown.length);
    }
    if (shown.length > 1) yield createFrameControl(number++, sequence, frameMs * times);
    for (const { type, data, raw } of chunks) {
      if (type !== 'IDAT') continue;
      yield index === 0 ? raw : pngChunk('fdAT', writeNumber(number++), data);
    }
  }
  for (const [name, text] of texts) {
    yield pngChunk('comf', Buffer.from(`${name}\0${text}`, 'latin1'));
  }
  yield pngChunk('IEND');
}

interface ShownFrame {
  readonly frame: Float32Array;
  /** How many frames it stands for. */
  times: number;
}

function countRepeats(frames: readonly Float32Array[]): readonly ShownFrame[] {
  const shown: ShownFrame[] = [];
  for (const frame of frames) {
    const last = shown.at(-1);
    if (last !== undefined && isEqual(last.frame, frame)) last.times += 1;
    else shown.push({ frame, times: 1 });
  }
  return shown;
}

/** Mostly the same object or different early. */
function isEqual(a: Float32Array, b: Float32Array): boolean {
  if (a === b) return true;
  const bytes = (frame: Float32Array) =>
    Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength);
  return bytes(a).equals(bytes(b));
}

function createAnimationControl(frames: number): Buffer {
  const data = Buffer.alloc(8); // the second number, how often it is shown, is 0: for ever
  data.writeUInt32BE(frames, 0);
  return pngChunk('acTL', data);
}

function createFrameControl(
  number: number,
  { width, height }: FrameSequence,
  delayMs: number,
): Buffer {
  const data = Buffer.alloc(26); // at the left upper corner, left as it is afterwards, in place of what was there
  data.writeUInt32BE(number, 0);
  data.writeUInt32BE(width, 4);
  data.writeUInt32BE(height, 8);
  // A long time is told in seconds, or as long as can be.
  const isLong = delayMs > MAX_DELAY;
  data.writeUInt16BE(isLong ? Math.min(MAX_DELAY, Math.round(delayMs / 1000)) : delayMs, 20);
  data.writeUInt16BE(isLong ? 1 : 1000, 22);
  return pngChunk('fcTL', data);
}

function writeNumber(number: number): Buffer {
  const data = Buffer.alloc(4);
  data.writeUInt32BE(number);
  return data;
}
