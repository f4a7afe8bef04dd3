import type { NodeDefinition } from '../node-definition.ts';
import { readImage, readNumber } from '../read-input.ts';
import type { ImageBatch } from '../values.ts';
import { declareNode } from './declare-node.ts';
import { eachRow } from './each-row.ts';

interface Plane {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly samples: Float32Array;
}

/** Weights of a bell of which `radius` samples a side are used; their sum is 1. */
function bell(radius: number, sigma: number): Float64Array {
  // ComfyUI spans its kernel over -1 to 1, so sigma is a share of the radius.
  const raw = Float64Array.from({ length: radius * 2 + 1 }, (_, i) => {
    const x = (i - radius) / radius;
    return Math.exp(-(x * x) / (2 * sigma * sigma));
  });
  const total = raw.reduce((sum, value) => sum + value, 0);
  return raw.map((value) => value / total);
}

/** A place mirrored at the edges, without repeating them. */
function reflect(place: number, size: number): number {
  if (size === 1) return 0;
  const period = 2 * (size - 1);
  const within = ((place % period) + period) % period;
  return within < size ? within : period - within;
}

/** Blurs along one axis, then the other. */
async function blur(plane: Plane, weights: Float64Array): Promise<Float32Array> {
  const across = await blurAlong(plane, weights, true);
  return blurAlong({ ...plane, samples: across }, weights, false);
}

async function blurAlong(
  { width, height, channels, samples }: Plane,
  weights: Float64Array,
  isAcross: boolean,
): Promise<Float32Array> {
  const radius = (weights.length - 1) / 2;
  const result = new Float32Array(samples.length);
  await eachRow(height, (y) => {
    for (let x = 0; x < width; x += 1) {
      for (let c = 0; c < channels; c += 1) {
        let sum = 0;
        for (let i = -radius; i <= radius; i += 1) {
          const fromX = isAcross ? reflect(x + i, width) : x;
          const fromY = isAcross ? y : reflect(y + i, height);
          sum +=
            (samples[(fromY * width + fromX) * channels + c] ?? 0) * (weights[i + radius] ?? 0);
        }
        result[(y * width + x) * channels + c] = sum;
      }
    }
  });
  return result;
}

const imageBlur = declareNode('ImageBlur', async (inputs) => {
  const image = readImage(inputs, 'image');
  const weights = bell(readNumber(inputs, 'blur_radius'), readNumber(inputs, 'sigma'));
  const frames: Float32Array[] = [];
  for (const samples of image.frames) frames.push(await blur({ ...image, samples }, weights));
  return { outputs: [{ ...image, frames } satisfies ImageBatch] };
});

/** How much of the difference from its blurred self ComfyUI adds to a picture for an alpha of 1. */
const SHARPENING = 10;

const imageSharpen = declareNode('ImageSharpen', async (inputs) => {
  const image = readImage(inputs, 'image');
  const weights = bell(readNumber(inputs, 'sharpen_radius'), readNumber(inputs, 'sigma'));
  const strength = readNumber(inputs, 'alpha') * SHARPENING;
  const frames: Float32Array[] = [];
  for (const samples of image.frames) {
    const blurred = await blur({ ...image, samples }, weights);
    frames.push(
      samples.map((value, i) =>
        Math.min(1, Math.max(0, value + (value - (blurred[i] ?? 0)) * strength)),
      ),
    );
  }
  return { outputs: [{ ...image, frames } satisfies ImageBatch] };
});

const LUMA = [0.299, 0.587, 0.114];

/** White edges on black: where brightness changes by more than the thresholds, as Canny has it. */
const canny = declareNode('Canny', async (inputs) => {
  const image = readImage(inputs, 'image');
  const limits = [
    readNumber(inputs, 'low_threshold'),
    readNumber(inputs, 'high_threshold'),
  ] as const;
  const frames: Float32Array[] = [];
  for (const frame of image.frames) frames.push(await findEdges(image, frame, limits));
  return { outputs: [{ ...image, channels: 3, frames } satisfies ImageBatch] };
});

async function findEdges(
  { width, height, channels }: ImageBatch,
  frame: Float32Array,
  [low, high]: readonly [number, number],
): Promise<Float32Array> {
  const grey = new Float32Array(width * height);
  for (let i = 0; i < grey.length; i += 1) {
    for (let c = 0; c < 3; c += 1) {
      grey[i] = (grey[i] ?? 0) + (frame[i * channels + c] ?? 0) * (LUMA[c] ?? 0);
    }
  }
  const samples = await blur({ width, height, channels: 1, samples: grey }, bell(2, 0.5));
  const slope = new Float32Array(width * height);
  const isSteepAcross = new Uint8Array(width * height);
  const at = (x: number, y: number) => samples[reflect(y, height) * width + reflect(x, width)] ?? 0;
  await eachRow(height, (y) => {
    for (let x = 0; x < width; x += 1) {
      const dx =
        at(x + 1, y - 1) +
        2 * at(x + 1, y) +
        at(x + 1, y + 1) -
        (at(x - 1, y - 1) + 2 * at(x - 1, y) + at(x - 1, y + 1));
      const dy =
        at(x - 1, y + 1) +
        2 * at(x, y + 1) +
        at(x + 1, y + 1) -
        (at(x - 1, y - 1) + 2 * at(x, y - 1) + at(x + 1, y - 1));
      slope[y * width + x] = Math.hypot(dx, dy);
      isSteepAcross[y * width + x] = Math.abs(dx) > Math.abs(dy) ? 1 : 0;
    }
  });
  const edges = new Float32Array(width * height * 3);
  const strong: number[] = [];
  const isRidge = (i: number) => {
    const step = isSteepAcross[i] === 1 ? 1 : width;
    const value = slope[i] ?? 0;
    return value >= (slope[i - step] ?? 0) && value >= (slope[i + step] ?? 0);
  };
  const mark = (i: number) => {
    if (edges[i * 3] === 1) return;
    edges.fill(1, i * 3, i * 3 + 3);
    strong.push(i);
  };
  await eachRow(height, (y) => {
    for (let x = 0; x < width; x += 1) {
      const i = y * width + x;
      if ((slope[i] ?? 0) > high && isRidge(i)) mark(i);
    }
    // What is weaker counts where it goes on from what is strong.
    for (let i = strong.pop(); i !== undefined; i = strong.pop()) {
      for (const next of [
        i - width - 1,
        i - width,
        i - width + 1,
        i - 1,
        i + 1,
        i + width - 1,
        i + width,
        i + width + 1,
      ]) {
        if (next >= 0 && next < slope.length && (slope[next] ?? 0) > low && isRidge(next))
          mark(next);
      }
    }
  });
  return edges;
}

/** Nodes that look at each pixel's neighbours. */
export const filterNodes: readonly NodeDefinition[] = [imageBlur, imageSharpen, canny];
