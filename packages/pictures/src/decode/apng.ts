import { pngChunk, readPngChunks, SIGNATURE } from '../png/png-chunks.ts';
import { inRows } from '../work/slices.ts';
import { openPicture, type RawFrame } from './open-picture.ts';

/**
 * Animated PNG, of which libvips decodes the first picture only: the parts of each frame are made a PNG of their own,
 * and put together as Pillow does (the format: PNG, third edition, 11.3.6).
 */
export interface Animation {
  readonly frames: readonly AnimationFrame[];
  /** IHDR's data: sides, depth and type of colour of all frames. */
  readonly header: Buffer;
  /** Palette, transparency and what else says how samples are meant. */
  readonly common: readonly Buffer[];
}

interface AnimationFrame {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly dispose: 'keep' | 'clear' | 'restore';
  readonly isBlended: boolean;
  readonly parts: Buffer[];
}

const DISPOSE = ['keep', 'clear', 'restore'] as const;
const CONTROL_BYTES = 26;
const HEADER_BYTES = 13;
/** Chunks that concern the samples of every frame. */
const COMMON = new Set(['PLTE', 'tRNS']);

/** What a PNG has of an animation; undefined for one that is not animated, or has no whole frame. */
export function findAnimation(file: Uint8Array): Animation | undefined {
  let header: Buffer | undefined;
  let isAnimated = false;
  let hasPixels = false;
  const common: Buffer[] = [];
  const frames: AnimationFrame[] = [];
  for (const { type, data, raw } of readPngChunks(file)) {
    if (type === 'IHDR' && data.length === HEADER_BYTES) header = data;
    else if (type === 'acTL' && !hasPixels) isAnimated = true;
    else if (COMMON.has(type) && !hasPixels) common.push(raw);
    else if (type === 'fcTL' && isAnimated && data.length === CONTROL_BYTES) {
      frames.push(readControl(data));
    } else if (type === 'IDAT') {
      if (!isAnimated || header === undefined) return undefined;
      // Without a control in front it is a picture for who knows no animations; Pillow shows it first.
      if (frames.length === 0) frames.push(wholeFrame(header));
      frames[0]?.parts.push(data);
      hasPixels = true;
    } else if (type === 'fdAT' && hasPixels && data.length > 4) {
      frames.at(-1)?.parts.push(data.subarray(4)); // behind its number in the sequence
    }
  }
  const whole = frames.filter((frame) => frame.parts.length > 0 && isInside(frame, header));
  if (!isAnimated || header === undefined || whole.length === 0) return undefined;
  return { header, common, frames: whole };
}

function readControl(data: Buffer): AnimationFrame {
  const [width, height, x, y] = [4, 8, 12, 16].map((at) => data.readUInt32BE(at));
  return {
    ...{ x: x ?? 0, y: y ?? 0, width: width ?? 0, height: height ?? 0 },
    dispose: DISPOSE[data[24] ?? 0] ?? 'keep',
    isBlended: data[25] === 1,
    parts: [],
  };
}

function wholeFrame(header: Buffer): AnimationFrame {
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  return { x: 0, y: 0, width, height, dispose: 'keep', isBlended: false, parts: [] };
}

function isInside({ x, y, width, height }: AnimationFrame, header: Buffer | undefined): boolean {
  if (header === undefined || width === 0 || height === 0) return false;
  return x + width <= header.readUInt32BE(0) && y + height <= header.readUInt32BE(4);
}

/**
 * Decodes frame after frame, each as large as the picture, with alpha. The same memory holds them all: who keeps a
 * frame copies it.
 * @throws Error when a frame cannot be decoded; the reason of the signal
 */
export async function* decodeAnimation(
  { frames, header, common }: Animation,
  signal?: AbortSignal,
): AsyncGenerator<RawFrame> {
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  const canvas = new Uint8Array(width * height * 4);
  let saved: Uint8Array | undefined;
  for (const [index, given] of frames.entries()) {
    signal?.throwIfAborted();
    // Nothing lies below the first one.
    const frame = index === 0 ? { ...given, isBlended: false } : given;
    const pixels = await decodeFrame(frame, header, common);
    if (frame.dispose === 'restore') saved = await cut(canvas, width, frame, signal);
    await paint(canvas, width, frame, pixels, signal);
    yield { width, height, channels: 4, data: canvas };
    if (frame.dispose === 'clear') await clear(canvas, width, frame, signal);
    if (frame.dispose === 'restore' && saved !== undefined) {
      await paint(canvas, width, { ...frame, isBlended: false }, saved, signal);
    }
  }
}

async function decodeFrame(
  { width, height, parts }: AnimationFrame,
  header: Buffer,
  common: readonly Buffer[],
): Promise<Uint8Array> {
  const own = Buffer.from(header);
  own.writeUInt32BE(width, 0);
  own.writeUInt32BE(height, 4);
  const file = Buffer.concat([
    ...[SIGNATURE, pngChunk('IHDR', own), ...common],
    ...[pngChunk('IDAT', ...parts), pngChunk('IEND')],
  ]);
  return openPicture(file).toColourspace('srgb').ensureAlpha().raw({ depth: 'uchar' }).toBuffer();
}

/** What the canvas has where the frame goes. */
async function cut(
  canvas: Uint8Array,
  canvasWidth: number,
  frame: AnimationFrame,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const pixels = new Uint8Array(frame.width * frame.height * 4);
  await inRows(
    frame,
    (row) => {
      const from = ((frame.y + row) * canvasWidth + frame.x) * 4;
      pixels.set(canvas.subarray(from, from + frame.width * 4), row * frame.width * 4);
    },
    signal,
  );
  return pixels;
}

async function clear(
  canvas: Uint8Array,
  canvasWidth: number,
  frame: AnimationFrame,
  signal?: AbortSignal,
): Promise<void> {
  await inRows(
    frame,
    (row) => {
      const at = ((frame.y + row) * canvasWidth + frame.x) * 4;
      canvas.fill(0, at, at + frame.width * 4);
    },
    signal,
  );
}

async function paint(
  canvas: Uint8Array,
  canvasWidth: number,
  frame: AnimationFrame,
  pixels: Uint8Array,
  signal?: AbortSignal,
): Promise<void> {
  const rowBytes = frame.width * 4;
  await inRows(
    frame,
    (row) => {
      const source = pixels.subarray(row * rowBytes, (row + 1) * rowBytes);
      const at = ((frame.y + row) * canvasWidth + frame.x) * 4;
      if (frame.isBlended) blendRow(source, canvas, at);
      else canvas.set(source, at);
    },
    signal,
  );
}

/** As Pillow pastes with a mask: alpha is mixed like a colour, which differs from the format's own formula. */
function blendRow(source: Uint8Array, canvas: Uint8Array, at: number): void {
  for (let i = 0; i < source.length; i += 4) {
    const alpha = source[i + 3] ?? 0;
    for (let c = i; c < i + 4; c += 1) {
      const mixed = (source[c] ?? 0) * alpha + (canvas[at + c] ?? 0) * (255 - alpha);
      canvas[at + c] = Math.round(mixed / 255);
    }
  }
}
