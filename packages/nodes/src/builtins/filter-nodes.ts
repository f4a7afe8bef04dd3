import { createPacer, inRows, inSlices, type Plane } from '@tiercel/pictures';
import { createFrame, type FrameWork } from '../image/frame-work.ts';
import { roundHalfEven } from '../image/scale-image.ts';
import type { NodeDefinition } from '../node-definition.ts';
import { readImage, readNumber } from '../read-input.ts';
import type { ImageBatch } from '../values.ts';
import { declareNode } from './declare-node.ts';

/** Weights of a Gaussian curve of which `radius` samples a side are used; their sum is 1. */
function gaussian(radius: number, sigma: number): Float64Array {
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

/** Places from `reach` before the first to `reach` behind the last, mirrored. */
function mirror(size: number, reach: number): Int32Array {
  return Int32Array.from({ length: size + 2 * reach }, (_, i) => reflect(i - reach, size));
}

/** Blurs along one axis, then the other: the curve of both is their product. */
async function blur(plane: Plane, weights: Float64Array, work: FrameWork): Promise<Float32Array> {
  const { width, height, channels, samples } = plane;
  const radius = (weights.length - 1) / 2;
  const stride = width * channels;
  const sum = new Float64Array(stride);
  /** Four rows at a time: each sum is read and written for four weights at once. */
  const addRows = (source: Float32Array, startOf: (tap: number) => number) => {
    sum.fill(0);
    for (let tap = 0; tap < weights.length; tap += 4) {
      // Behind the last there is nothing to add: it counts as nothing once more.
      const start = (i: number) => startOf(Math.min(tap + i, weights.length - 1));
      const [a, b, c, d] = [start(0), start(1), start(2), start(3)];
      const weightA = weights[tap] ?? 0;
      const weightB = weights[tap + 1] ?? 0;
      const weightC = weights[tap + 2] ?? 0;
      const weightD = weights[tap + 3] ?? 0;
      for (let i = 0; i < stride; i += 1) {
        sum[i] =
          (sum[i] ?? 0) +
          (source[a + i] ?? 0) * weightA +
          (source[b + i] ?? 0) * weightB +
          (source[c + i] ?? 0) * weightC +
          (source[d + i] ?? 0) * weightD;
      }
    }
  };

  // A row with what the edges mirror at both ends, so that each weight is one run over it.
  const mirrored = new Float32Array((width + 2 * radius) * channels);
  const columns = mirror(width, radius);
  const rows = mirror(height, radius);
  const across = await createFrame(samples.length, work);
  const rowWork = { width: stride * weights.length, height };
  await inRows(
    rowWork,
    (y) => {
      for (const [x, column] of columns.entries()) {
        for (let c = 0; c < channels; c += 1) {
          mirrored[x * channels + c] = samples[y * stride + column * channels + c] ?? 0;
        }
      }
      addRows(mirrored, (tap) => tap * channels);
      across.set(sum, y * stride);
    },
    work.signal,
  );

  const result = await createFrame(samples.length, work);
  await inRows(
    rowWork,
    (y) => {
      addRows(across, (tap) => (rows[y + tap] ?? 0) * stride);
      result.set(sum, y * stride);
    },
    work.signal,
  );
  return result;
}

const imageBlur = declareNode('ImageBlur', async (inputs, context) => {
  const image = readImage(inputs, 'image');
  const weights = gaussian(readNumber(inputs, 'blur_radius'), readNumber(inputs, 'sigma'));
  const frames: Float32Array[] = [];
  for (const samples of image.frames) {
    frames.push(await blur({ ...image, samples }, weights, context));
  }
  return { outputs: [{ ...image, frames } satisfies ImageBatch] };
});

/** How much of the difference from its blurred self ComfyUI adds to a picture for an alpha of 1. */
const SHARPENING = 10;

const imageSharpen = declareNode('ImageSharpen', async (inputs, context) => {
  const image = readImage(inputs, 'image');
  const weights = gaussian(readNumber(inputs, 'sharpen_radius'), readNumber(inputs, 'sigma'));
  const strength = readNumber(inputs, 'alpha') * SHARPENING;
  const frames: Float32Array[] = [];
  for (const samples of image.frames) {
    const sharpened = await blur({ ...image, samples }, weights, context);
    await inSlices(
      samples.length,
      (start, end) => {
        for (let i = start; i < end; i += 1) {
          const value = samples[i] ?? 0;
          const blurred = sharpened[i] ?? 0;
          sharpened[i] = Math.min(1, Math.max(0, value + (value - blurred) * strength));
        }
      },
      context.signal,
    );
    frames.push(sharpened);
  }
  return { outputs: [{ ...image, frames } satisfies ImageBatch] };
});

/** Of a pixel, in a list of those that are still to be looked at: half of them at most, 8 bytes each. */
const STACK_BYTES = 4;
const LUMA = [0.299, 0.587, 0.114];
/** Added to the square of a slope, so that no place has none. */
const LEAST_SLOPE = 1e-6;
const EIGHTH_TURN = Math.PI / 4;
/** Where a slope goes up or down, by its direction in eighths of a turn. */
const UPHILL = [
  [1, 0],
  [1, 1],
  [0, 1],
  [-1, 1],
] as const;

/** Places from one before the first to one behind the last, where the edges go on as they are. */
function repeatEdge(size: number): Int32Array {
  return Int32Array.from({ length: size + 2 }, (_, i) => Math.min(size - 1, Math.max(0, i - 1)));
}

/** White edges on black: where brightness changes by more than the thresholds, as Canny has it (and kornia). */
const canny = declareNode('Canny', async (inputs, context) => {
  const image = readImage(inputs, 'image');
  const limits = [
    readNumber(inputs, 'low_threshold'),
    readNumber(inputs, 'high_threshold'),
  ] as const;
  const frames: Float32Array[] = [];
  for (const frame of image.frames) {
    frames.push(await findEdges(image, frame, limits, context));
  }
  return { outputs: [{ ...image, channels: 3, frames } satisfies ImageBatch] };
});

async function findEdges(
  { width, height, channels }: ImageBatch,
  frame: Float32Array,
  [low, high]: readonly [number, number],
  work: FrameWork,
): Promise<Float32Array> {
  const { signal } = work;
  const size = { width, height };
  const grey = await createFrame(width * height, work);
  await inSlices(
    grey.length,
    (start, end) => {
      for (let i = start; i < end; i += 1) {
        for (let c = 0; c < 3; c += 1) {
          grey[i] = (grey[i] ?? 0) + (frame[i * channels + c] ?? 0) * (LUMA[c] ?? 0);
        }
      }
    },
    signal,
  );
  const samples = await blur({ ...size, channels: 1, samples: grey }, gaussian(2, 0.5), work);
  const slope = await createFrame(width * height, work);
  await work.reserveMemory(width * height * (1 + STACK_BYTES));
  const directions = new Uint8Array(width * height);
  const columns = repeatEdge(width);
  const rows = repeatEdge(height);
  await inRows(
    size,
    (y) => {
      const [above = 0, here = 0, below = 0] = rows.subarray(y, y + 3).map((row) => row * width);
      const at = (place: number) => samples[place] ?? 0;
      for (let x = 0; x < width; x += 1) {
        const [left, right] = [columns[x] ?? 0, columns[x + 2] ?? 0];
        const dx =
          at(above + right) +
          2 * at(here + right) +
          at(below + right) -
          (at(above + left) + 2 * at(here + left) + at(below + left));
        const dy =
          at(below + left) +
          2 * at(below + x) +
          at(below + right) -
          (at(above + left) + 2 * at(above + x) + at(above + right));
        slope[y * width + x] = Math.sqrt(dx * dx + dy * dy + LEAST_SLOPE);
        directions[y * width + x] = (roundHalfEven(Math.atan2(dy, dx) / EIGHTH_TURN) + 8) % 4;
      }
    },
    signal,
  );
  const edges = await createFrame(width * height * 3, work);
  const strong: number[] = [];
  const isRidge = (i: number) => {
    const [dx, dy] = UPHILL[directions[i] ?? 0] ?? [1, 0];
    const x = i % width;
    const value = slope[i] ?? 0;
    // Outside there is no slope.
    const isLower = (column: number, place: number) =>
      column < 0 || column >= width || value > (slope[place] ?? 0);
    const step = dy * width + dx;
    return isLower(x + dx, i + step) && isLower(x - dx, i - step);
  };
  const mark = (i: number) => {
    if (edges[i * 3] === 1) return;
    edges.fill(1, i * 3, i * 3 + 3);
    strong.push(i);
  };
  await inSlices(
    slope.length,
    (start, end) => {
      for (let i = start; i < end; i += 1) if ((slope[i] ?? 0) > high && isRidge(i)) mark(i);
    },
    signal,
  );
  // What is weaker counts where it goes on from what is strong.
  const pace = createPacer(signal);
  for (let i = strong.pop(); i !== undefined; i = strong.pop()) {
    const x = i % width;
    for (let dy = -1; dy <= 1; dy += 1) {
      for (let dx = -1; dx <= 1; dx += 1) {
        const next = i + dy * width + dx;
        const isInside = x + dx >= 0 && x + dx < width;
        if (isInside && (slope[next] ?? 0) > low && isRidge(next)) mark(next);
      }
    }
    const pause = pace();
    if (pause) await pause;
  }
  return edges;
}

/** Nodes that look at each pixel's neighbours. */
export const filterNodes: readonly NodeDefinition[] = [imageBlur, imageSharpen, canny];
