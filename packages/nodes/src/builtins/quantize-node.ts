import { inRows, inSlices, toSamples } from '@tiercel/pictures';
import { SAMPLE_BYTES } from '../image/frame-work.ts';
import { findPalette } from '../image/median-cut.ts';
import { readImage, readNumber, readText } from '../read-input.ts';
import type { ImageBatch } from '../values.ts';
import { declareNode } from './declare-node.ts';
import { dropAlpha } from './image-nodes.ts';

/** Shades a channel that the search for the nearest colour tells apart, as in Pillow. */
const SHADES = 64;
/** The memory of what was found; and the histogram with the boxes of at most 65536 colours, measured. */
const WORK_BYTES = SHADES ** 3 * 2 + 24 * 1024 * 1024;

type Match = (red: number, green: number, blue: number) => number;

/** Finds the nearest colour of a palette: the first of those that are as near, for steps of four. */
function createMatch(palette: Uint8Array): Match {
  const found = new Int16Array(SHADES ** 3).fill(-1);
  const search = (red: number, green: number, blue: number) => {
    let best = 0;
    let least = Infinity;
    for (let i = 0; i < palette.length; i += 3) {
      const distance =
        (red - (palette[i] ?? 0)) ** 2 +
        (green - (palette[i + 1] ?? 0)) ** 2 +
        (blue - (palette[i + 2] ?? 0)) ** 2;
      if (distance < least) {
        least = distance;
        best = i / 3;
      }
    }
    return best;
  };
  return (red, green, blue) => {
    const slot = ((red >> 2) * SHADES + (green >> 2)) * SHADES + (blue >> 2);
    const known = found[slot] ?? -1;
    if (known >= 0) return known;
    return (found[slot] = search(red & 0xfc, green & 0xfc, blue & 0xfc));
  };
}

/** A Bayer matrix, in rows: its values lie around 0, less than 1 apart. @param side a power of two */
function createBayerMatrix(side: number): readonly (readonly number[])[] {
  if (side === 1) return [[0]];
  const half = side / 2;
  const inner = createBayerMatrix(half);
  const corners = [
    [-1.5, 0.5],
    [1.5, -0.5],
  ];
  const shiftAt = (x: number, y: number) =>
    (corners[Math.floor(y / half)]?.[Math.floor(x / half)] ?? 0) / side ** 2;
  return Array.from({ length: side }, (_, y) =>
    Array.from({ length: side }, (__, x) => (inner[y % half]?.[x % half] ?? 0) + shiftAt(x, y)),
  );
}

interface Picture {
  readonly width: number;
  readonly height: number;
  /** Interleaved 8-bit samples. */
  readonly rgb: Uint8Array;
}

interface Palette {
  readonly colours: Uint8Array;
  readonly match: Match;
}

/** Each pixel becomes the nearest colour. @param side of the Bayer matrix that is laid over it before; 1 for none */
async function mapPixels(
  { width, height, rgb }: Picture,
  { colours, match }: Palette,
  side: number,
  signal: AbortSignal,
): Promise<void> {
  const spread = (2 * 256) / (colours.length / 3);
  const matrix = createBayerMatrix(side);
  await inRows(
    { width, height },
    (y) => {
      const shifts = matrix[y % side] ?? [];
      for (let x = 0; x < width; x += 1) {
        const at = (y * width + x) * 3;
        const shift = side === 1 ? 0 : (shifts[x % side] ?? 0) * spread + 0.5;
        const nearest = match(
          toByte((rgb[at] ?? 0) + shift),
          toByte((rgb[at + 1] ?? 0) + shift),
          toByte((rgb[at + 2] ?? 0) + shift),
        );
        for (let c = 0; c < 3; c += 1) rgb[at + c] = colours[nearest * 3 + c] ?? 0;
      }
    },
    signal,
  );
}

/** Cut, not rounded. */
function toByte(value: number): number {
  return Math.trunc(Math.min(255, Math.max(0, value)));
}

/**
 * Floyd and Steinberg's dithering as Pillow does it: in whole numbers, from left to right, the error of a pixel going
 * to its four neighbours in sixteenths (7 to the right, 3, 5 and 1 below). Below the last pixel of a row Pillow takes
 * blue's errors for all channels.
 */
async function diffuseErrors(
  { width, height, rgb }: Picture,
  { colours, match }: Palette,
  signal: AbortSignal,
): Promise<void> {
  let here = new Int32Array((width + 2) * 3);
  let below = new Int32Array((width + 2) * 3);
  const take = (at: number, place: number) =>
    toByte((rgb[at] ?? 0) + Math.trunc((here[place] ?? 0) / 16));
  await inRows(
    { width, height },
    (y) => {
      for (let x = 0; x < width; x += 1) {
        const at = (y * width + x) * 3;
        const place = (x + 1) * 3;
        const wanted = [take(at, place), take(at + 1, place + 1), take(at + 2, place + 2)] as const;
        const nearest = match(...wanted);
        for (let c = 0; c < 3; c += 1) {
          const colour = colours[nearest * 3 + c] ?? 0;
          const error = (wanted[c] ?? 0) - colour;
          rgb[at + c] = colour;
          addTo(here, place + 3 + c, error * 7);
          addTo(below, place - 3 + c, error * 3);
          addTo(below, place + c, error * 5);
          addTo(below, place + 3 + c, error);
        }
      }
      const last = width * 3;
      const ofBlue = below[last + 2] ?? 0;
      const own = below[last + 5] ?? 0;
      below.set([ofBlue, own, own], last);
      [here, below] = [below, here];
      below.fill(0);
    },
    signal,
  );
}

function addTo(errors: Int32Array, place: number, error: number): void {
  errors[place] = (errors[place] ?? 0) + error;
}

/** As ComfyUI: a palette by Pillow's median cut, then the picture in its colours. */
export const quantizeNode = declareNode('ImageQuantize', async (inputs, context) => {
  const image = await dropAlpha(readImage(inputs, 'image'), context);
  const { width, height } = image;
  const size = readNumber(inputs, 'colors');
  const dither = readText(inputs, 'dither');
  const frames: Float32Array[] = [];
  for (const frame of image.frames) {
    await context.reserveMemory(frame.length * (SAMPLE_BYTES + 1) + WORK_BYTES);
    const picture = { width, height, rgb: await wrapToBytes(frame, context.signal) };
    const colours = await findPalette(picture.rgb, size, context.signal);
    const palette = { colours, match: createMatch(colours) };
    if (dither === 'floyd-steinberg') await diffuseErrors(picture, palette, context.signal);
    else await mapPixels(picture, palette, readBayerSide(dither), context.signal);
    frames.push(await toSamples(picture.rgb, context.signal));
  }
  return { outputs: [{ ...image, frames } satisfies ImageBatch] };
});

/** `bayer-4` is 4. */
function readBayerSide(dither: string): number {
  return dither.startsWith('bayer-') ? Number(dither.slice('bayer-'.length)) : 1;
}

/**
 * Bytes as ComfyUI makes them here: cut, and what is out of range (a bicubic picture overshoots) goes round, so that
 * 256 is 0.
 */
async function wrapToBytes(samples: Float32Array, signal: AbortSignal): Promise<Uint8Array> {
  const bytes = new Uint8Array(samples.length);
  await inSlices(
    samples.length,
    (from, to) => {
      for (let i = from; i < to; i += 1) bytes[i] = Math.fround((samples[i] ?? 0) * 255);
    },
    signal,
  );
  return bytes;
}
