import { inSlices } from '@tiercel/pictures';
import { createFrame, makeFrames } from '../image/frame-work.ts';
import { roundHalfEven, scaleImage } from '../image/scale-image.ts';
import { type NodeDefinition, NodeError } from '../node-definition.ts';
import { readImage, readMask, readNumber, readText } from '../read-input.ts';
import type { ImageBatch, MaskBatch } from '../values.ts';
import { declareNode } from './declare-node.ts';
import { dropAlpha } from './image-nodes.ts';
import { scaleMask } from './mask-pixels.ts';

/** White where a picture has exactly one colour. */
const colorToMask = declareNode('ImageColorToMask', async (inputs, context) => {
  const { width, height, channels, frames } = readImage(inputs, 'image');
  const color = readNumber(inputs, 'color');
  const wanted = [color >> 16, (color >> 8) & 0xff, color & 0xff];
  const toByte = (sample: number) => roundHalfEven(Math.min(1, Math.max(0, sample)) * 255);
  const masks = await makeFrames(frames, width * height, context, (frame, mask) =>
    inSlices(
      mask.length,
      (start, end) => {
        for (let i = start; i < end; i += 1) {
          const isWanted = wanted.every(
            (value, c) => toByte(frame[i * channels + c] ?? 0) === value,
          );
          mask[i] = isWanted ? 1 : 0;
        }
      },
      context.signal,
    ),
  );
  return { outputs: [{ kind: 'mask', width, height, frames: masks } satisfies MaskBatch] };
});

/** What of red, green and blue goes into brightness (ITU-R BT.601). */
const LUMA = [0.299, 0.587, 0.114] as const;
/** How far blue and red lie from it, brought to 0..1 around the middle, as JPEG has it. */
const BLUENESS = 0.564;
const REDNESS = 0.713;
const MIDDLE = 0.5;

/** Three grey pictures: brightness, blueness, redness. */
const toYuv = declareNode('ImageRGBToYUV', async (inputs, context) => {
  const image = await dropAlpha(readImage(inputs, 'image'), context);
  const split = async (pick: (luma: number, red: number, blue: number) => number) => {
    const length = image.width * image.height * 3;
    const frames = await makeFrames(image.frames, length, context, (frame, grey) =>
      inSlices(
        length / 3,
        (start, end) => {
          for (let i = start * 3; i < end * 3; i += 3) {
            const [red, blue] = [frame[i] ?? 0, frame[i + 2] ?? 0];
            const luma = LUMA[0] * red + LUMA[1] * (frame[i + 1] ?? 0) + LUMA[2] * blue;
            grey.fill(pick(luma, red, blue), i, i + 3);
          }
        },
        context.signal,
      ),
    );
    return { ...image, frames } satisfies ImageBatch;
  };
  return {
    outputs: [
      await split((luma) => luma),
      await split((luma, _, blue) => (blue - luma) * BLUENESS + MIDDLE),
      await split((luma, red) => (red - luma) * REDNESS + MIDDLE),
    ],
  };
});

/** The way back, with the rounded factors that are in use for it. */
const fromYuv = declareNode('ImageYUVToRGB', async (inputs, context) => {
  const parts = (['Y', 'U', 'V'] as const).map((name) => readImage(inputs, name));
  const [first] = parts as [ImageBatch, ImageBatch, ImageBatch]; // of three names
  const { width, height } = first;
  if (parts.some((part) => part.width !== width || part.height !== height)) {
    throw new NodeError('Y, U and V must be of one size.');
  }
  const meanOf = ({ channels, frames }: ImageBatch, index: number, pixel: number) => {
    const frame = frames[index];
    let sum = 0;
    for (let c = 0; c < channels; c += 1) sum += frame?.[pixel * channels + c] ?? 0;
    return sum / channels;
  };
  const frames: Float32Array[] = [];
  for (const index of first.frames.keys()) {
    const rgb = await createFrame(width * height * 3, context);
    await inSlices(
      width * height,
      (start, end) => {
        for (let i = start; i < end; i += 1) {
          const [luma = 0, u = 0, v = 0] = parts.map((part) => meanOf(part, index, i));
          const [blueness, redness] = [u - MIDDLE, v - MIDDLE];
          rgb[i * 3] = luma + 1.403 * redness;
          rgb[i * 3 + 1] = luma - 0.714 * redness - 0.344 * blueness;
          rgb[i * 3 + 2] = luma + 1.773 * blueness;
        }
      },
      context.signal,
    );
    frames.push(rgb);
  }
  return { outputs: [{ ...first, channels: 3, frames } satisfies ImageBatch] };
});

/** One sample of each picture, multiplied by its own alpha. */
interface Pair {
  readonly source: number;
  readonly destination: number;
  readonly sourceAlpha: number;
  readonly destinationAlpha: number;
}

interface PorterDuff {
  readonly color: (pair: Pair) => number;
  readonly alpha: (source: number, destination: number) => number;
}

const unite = (a: number, b: number) => a + b - a * b;
const { min, max } = Math;
const clamp = (value: number) => min(1, max(0, value));

/** What of each lies where the other does not. */
const around = (p: Pair) =>
  (1 - p.destinationAlpha) * p.source + (1 - p.sourceAlpha) * p.destination;

/** The operations of Porter and Duff ("Compositing Digital Images", 1984) and the usual ones besides, by name. */
const MODES: Readonly<Record<string, PorterDuff>> = {
  ADD: { color: (p) => clamp(p.source + p.destination), alpha: (s, d) => clamp(s + d) },
  CLEAR: { color: () => 0, alpha: () => 0 },
  DARKEN: { color: (p) => around(p) + min(p.source, p.destination), alpha: unite },
  DST: { color: (p) => p.destination, alpha: (_, d) => d },
  DST_ATOP: {
    color: (p) => p.sourceAlpha * p.destination + (1 - p.destinationAlpha) * p.source,
    alpha: (s) => s,
  },
  DST_IN: { color: (p) => p.destination * p.sourceAlpha, alpha: (s, d) => s * d },
  DST_OUT: { color: (p) => (1 - p.sourceAlpha) * p.destination, alpha: (s, d) => (1 - s) * d },
  DST_OVER: {
    color: (p) => p.destination + (1 - p.destinationAlpha) * p.source,
    alpha: (s, d) => d + (1 - d) * s,
  },
  LIGHTEN: { color: (p) => around(p) + max(p.source, p.destination), alpha: unite },
  MULTIPLY: { color: (p) => p.source * p.destination, alpha: (s, d) => s * d },
  OVERLAY: {
    color: (p) =>
      2 * p.destination < p.destinationAlpha
        ? 2 * p.source * p.destination
        : p.sourceAlpha * p.destinationAlpha -
          2 * (p.destinationAlpha - p.source) * (p.sourceAlpha - p.destination),
    alpha: unite,
  },
  SCREEN: { color: (p) => unite(p.source, p.destination), alpha: unite },
  SRC: { color: (p) => p.source, alpha: (s) => s },
  SRC_ATOP: {
    color: (p) => p.destinationAlpha * p.source + (1 - p.sourceAlpha) * p.destination,
    alpha: (_, d) => d,
  },
  SRC_IN: { color: (p) => p.source * p.destinationAlpha, alpha: (s, d) => s * d },
  SRC_OUT: { color: (p) => (1 - p.destinationAlpha) * p.source, alpha: (s, d) => (1 - d) * s },
  SRC_OVER: {
    color: (p) => p.source + (1 - p.sourceAlpha) * p.destination,
    alpha: (s, d) => s + (1 - s) * d,
  },
  XOR: { color: around, alpha: (s, d) => (1 - d) * s + (1 - s) * d },
};

/** A share this small shows no colour. */
const LEAST_ALPHA = 1e-5;

const porterDuff = declareNode('PorterDuffImageComposite', async (inputs, context) => {
  const mode = MODES[readText(inputs, 'mode')];
  if (mode === undefined) throw new NodeError('Invalid porter duff mode.');
  const destination = await dropAlpha(readImage(inputs, 'destination'), context);
  const { width, height } = destination;
  const fit = { width, height, method: 'bicubic', crop: 'center' } as const;
  const source = await scaleIfNeeded();
  const sourceAlpha = await scaleMask(readMask(inputs, 'source_alpha'), fit, context);
  const destinationAlpha = await scaleMask(readMask(inputs, 'destination_alpha'), fit, context);
  const parts = [source, sourceAlpha, destination, destinationAlpha];
  const count = min(...parts.map(({ frames }) => frames.length));
  const colors: Float32Array[] = [];
  const masks: Float32Array[] = [];
  for (let index = 0; index < count; index += 1) {
    const color = await createFrame(width * height * 3, context);
    const mask = await createFrame(width * height, context);
    const [over, overMask, under, underMask] = parts.map(({ frames }) => frames[index]);
    await inSlices(
      mask.length,
      (start, end) => {
        for (let i = start; i < end; i += 1) {
          // ComfyUI's masks are what is left out.
          const above = 1 - (overMask?.[i] ?? 0);
          const below = 1 - (underMask?.[i] ?? 0);
          const alpha = mode.alpha(above, below);
          mask[i] = 1 - alpha;
          for (let at = i * 3; at < i * 3 + 3; at += 1) {
            const value = mode.color({
              source: (over?.[at] ?? 0) * above,
              destination: (under?.[at] ?? 0) * below,
              sourceAlpha: above,
              destinationAlpha: below,
            });
            color[at] = alpha > LEAST_ALPHA ? clamp(value / alpha) : 0;
          }
        }
      },
      context.signal,
    );
    colors.push(color);
    masks.push(mask);
  }
  return {
    outputs: [
      { ...destination, frames: colors } satisfies ImageBatch,
      { kind: 'mask', width, height, frames: masks } satisfies MaskBatch,
    ],
  };

  async function scaleIfNeeded(): Promise<ImageBatch> {
    const given = await dropAlpha(readImage(inputs, 'source'), context);
    const isFit = given.width === width && given.height === height;
    return isFit ? given : scaleImage(given, fit, context);
  }
});

/** Nodes that look at colours, pixel by pixel. */
export const colourNodes: readonly NodeDefinition[] = [colorToMask, toYuv, fromYuv, porterDuff];
