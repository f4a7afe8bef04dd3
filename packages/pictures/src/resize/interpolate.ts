import { createPacer } from '../work/slices.ts';
import type { Plane } from '../work/samples.ts';

/** The methods of torch.nn.functional.interpolate that ComfyUI offers (align_corners=False, no antialias). */
export type InterpolationMethod = 'nearest-exact' | 'bilinear' | 'area' | 'bicubic';

/** For each output position: `taps` source positions and their weights. */
interface Axis {
  readonly taps: number;
  readonly index: Int32Array;
  readonly weight: Float64Array;
}

/** Rows of the source kept at their new width: no method needs more of them at once. */
const KEPT_ROWS = 5;

/**
 * Resizes one frame. Each method is separable: rows first, then columns. Besides the result it takes memory for a
 * few rows only, whatever the sides are.
 * @throws the reason of the signal
 */
export async function interpolate(
  source: Plane,
  width: number,
  height: number,
  method: InterpolationMethod,
  signal?: AbortSignal,
): Promise<Float32Array> {
  const { channels } = source;
  const pace = createPacer(signal);
  const down = createAxis(source.height, height, method);
  const stride = width * channels;
  const readRow = createRowReader(source, width, createAxis(source.width, width, method));

  const out = new Float32Array(stride * height);
  const line = new Float64Array(stride);
  for (let y = 0; y < height; y += 1) {
    line.fill(0);
    for (let tap = y * down.taps; tap < (y + 1) * down.taps; tap += 1) {
      const weight = down.weight[tap] ?? 0;
      if (weight === 0) continue;
      const row = readRow(down.index[tap] ?? 0);
      for (let i = 0; i < stride; i += 1) line[i] = (line[i] ?? 0) + (row[i] ?? 0) * weight;
      const pause = pace();
      if (pause) await pause;
    }
    out.set(line, y * stride);
    const pause = pace();
    if (pause) await pause;
  }
  return out;
}

/** Rows of the source resized to `width`; the last few are kept. */
function createRowReader(
  { width: sourceWidth, channels, samples }: Plane,
  width: number,
  across: Axis,
): (y: number) => Float64Array {
  const rows = Array.from({ length: KEPT_ROWS }, () => ({
    y: -1,
    line: new Float64Array(width * channels),
  }));
  return (y) => {
    const known = rows.find((row) => row.y === y);
    if (known) return known.line;
    const [row] = rows.splice(0, 1) as [(typeof rows)[number]]; // there are KEPT_ROWS of them
    row.y = y;
    rows.push(row);
    const from = y * sourceWidth * channels;
    const { line } = row;
    for (let x = 0; x < width; x += 1) {
      for (let c = 0; c < channels; c += 1) {
        let sum = 0;
        for (let tap = x * across.taps; tap < (x + 1) * across.taps; tap += 1) {
          const at = from + (across.index[tap] ?? 0) * channels + c;
          sum += (samples[at] ?? 0) * (across.weight[tap] ?? 0);
        }
        line[x * channels + c] = sum;
      }
    }
    return line;
  };
}

function createAxis(from: number, to: number, method: InterpolationMethod): Axis {
  // torch computes positions in single precision: the same rounding picks the same source pixels.
  const scale = Math.fround(from / to);
  switch (method) {
    case 'nearest-exact':
      return fillAxis(to, 1, from, (i) => {
        const position = Math.floor(Math.fround(Math.fround(i + 0.5) * scale));
        return { first: Math.min(position, from - 1), weights: [1] };
      });
    case 'bilinear':
      return fillAxis(to, 2, from, (i) => {
        const position = Math.max(0, Math.fround(Math.fround(scale * (i + 0.5)) - 0.5));
        const first = Math.min(Math.floor(position), from - 1);
        const fraction = position - first;
        return { first, weights: [1 - fraction, fraction] };
      });
    case 'bicubic':
      return fillAxis(to, 4, from, (i) => {
        const position = Math.fround(Math.fround(scale * (i + 0.5)) - 0.5);
        const first = Math.floor(position);
        return { first: first - 1, weights: cubicWeights(position - first) };
      });
    case 'area':
      return fillAxis(to, Math.ceil(from / to) + 1, from, (i) => {
        const first = Math.floor((i * from) / to);
        const count = Math.ceil(((i + 1) * from) / to) - first;
        return { first, weights: new Array<number>(count).fill(1 / count) };
      });
  }
}

function fillAxis(
  size: number,
  taps: number,
  sourceSize: number,
  place: (i: number) => { first: number; weights: readonly number[] },
): Axis {
  const index = new Int32Array(size * taps);
  const weight = new Float64Array(size * taps);
  for (let i = 0; i < size; i += 1) {
    const { first, weights } = place(i);
    weights.forEach((value, tap) => {
      index[i * taps + tap] = Math.min(Math.max(first + tap, 0), sourceSize - 1);
      weight[i * taps + tap] = value;
    });
  }
  return { taps, index, weight };
}

/** Keys' cubic convolution with A = -0.75, torch's choice. */
function cubicWeights(t: number): number[] {
  const a = -0.75;
  const near = (x: number) => ((a + 2) * x - (a + 3)) * x * x + 1;
  const far = (x: number) => ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return [far(t + 1), near(t), near(1 - t), far(2 - t)];
}
