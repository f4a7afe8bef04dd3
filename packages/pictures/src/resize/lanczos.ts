import { type Plane, toSample, writeBytes } from '../work/samples.ts';
import { createPacer } from '../work/slices.ts';

/** Pillow's resampling works on bytes with 22-bit fixed-point weights; the rounding is part of the result. */
const PRECISION_BITS = 22;
const HALF = 1 << (PRECISION_BITS - 1);
const LOBES = 3;

interface Window {
  readonly first: number;
  readonly weights: Int32Array;
}

/**
 * Resizes one frame as Pillow's Image.resize(LANCZOS) does (ComfyUI's "lanczos"), through 8 bits: rows first, then
 * columns. Besides the result it takes memory for a few rows only, whatever the sides are.
 * @throws the reason of the signal
 */
export async function resizeLanczos(
  source: Plane,
  width: number,
  height: number,
  signal?: AbortSignal,
): Promise<Float32Array> {
  const { channels } = source;
  const stride = width * channels;
  const out = new Float32Array(stride * height);
  const pace = createPacer(signal);
  const isSame = width === source.width && height === source.height;
  const across =
    width === source.width ? undefined : await createWindows(source.width, width, pace);
  const readRow = createRowReader(source, width, { windows: across, isSame });
  const put = (row: Uint8Array, y: number) => {
    if (channels === 4 && !isSame) unpremultiply(row);
    for (let i = 0, to = y * stride; i < stride; i += 1, to += 1) out[to] = toSample(row[i] ?? 0);
  };
  if (height === source.height) {
    for (let y = 0; y < height; y += 1) {
      put(readRow(y), y);
      const pause = pace();
      if (pause) await pause;
    }
    return out;
  }
  const down = await createWindows(source.height, height, pace);
  // Making a picture taller, a window has few rows and a row many windows: then the rows are kept, not the sums.
  const sum = height > source.height ? sumKeptRows : sumRows;
  const rows = sum({ readRow, stride, sourceHeight: source.height, windows: down });
  for (const row of rows) {
    if (row.bytes) put(row.bytes, row.y);
    const pause = pace();
    if (pause) await pause;
  }
  return out;
}

/** Rows of the source as bytes, resized to `width`. A row is good until the next one is read. */
function createRowReader(
  { width: sourceWidth, channels, samples }: Plane,
  width: number,
  { windows, isSame }: { windows: readonly Window[] | undefined; isSame: boolean },
): (y: number) => Uint8Array {
  const stored = new Uint8Array(sourceWidth * channels);
  const row = new Uint8Array(width * channels);
  return (y) => {
    const from = y * stored.length;
    writeBytes(samples, stored, { from, to: from + stored.length, at: 0 });
    if (channels === 4 && !isSame) premultiply(stored);
    if (windows === undefined) return stored;
    let to = 0;
    for (const { first, weights } of windows) {
      for (let c = 0; c < channels; c += 1) {
        let sum = HALF;
        let at = first * channels + c;
        for (let i = 0; i < weights.length; i += 1, at += channels) {
          sum += (stored[at] ?? 0) * (weights[i] ?? 0);
        }
        row[to++] = clip(sum);
      }
    }
    return row;
  };
}

interface Columns {
  readonly readRow: (y: number) => Uint8Array;
  readonly stride: number;
  readonly sourceHeight: number;
  /** One for each row of the result. */
  readonly windows: readonly Window[];
}

/** A finished row; one without bytes is a step of the work towards it. */
interface Step {
  readonly y: number;
  readonly bytes?: Uint8Array;
}

/**
 * The columns: each source row is read once and added to the sums of all the rows that it belongs to. Sums of
 * integers do not depend on their order.
 */
function* sumRows({ readRow, stride, sourceHeight, windows }: Columns): Generator<Step> {
  const sums = new Map<number, Int32Array>();
  const bytes = new Uint8Array(stride);
  let first = 0; // the first row that is not finished
  for (let y = 0; y < sourceHeight; y += 1) {
    const row = readRow(y);
    for (let to = first; to < windows.length; to += 1) {
      const window = windows[to];
      if (window === undefined || window.first > y) break;
      const weight = window.weights[y - window.first];
      if (weight === undefined) continue;
      const sum = sums.get(to) ?? new Int32Array(stride).fill(HALF);
      sums.set(to, sum);
      for (let i = 0; i < stride; i += 1) sum[i] = (sum[i] ?? 0) + (row[i] ?? 0) * weight;
    }
    yield { y };
    for (; first < windows.length; first += 1) {
      const window = windows[first];
      const sum = sums.get(first);
      if (!window || !sum || window.first + window.weights.length > y + 1) break;
      for (let i = 0; i < stride; i += 1) bytes[i] = clip(sum[i] ?? 0);
      sums.delete(first);
      yield { y: first, bytes };
    }
  }
}

/** The same where rows are kept and sums are not. */
function* sumKeptRows({ readRow, stride, windows }: Columns): Generator<Step> {
  const kept = new Map<number, Uint8Array>();
  const sum = new Int32Array(stride);
  const bytes = new Uint8Array(stride);
  for (const [y, { first, weights }] of windows.entries()) {
    for (const known of kept.keys()) if (known < first) kept.delete(known);
    sum.fill(HALF);
    for (let i = 0; i < weights.length; i += 1) {
      const row = kept.get(first + i) ?? readRow(first + i).slice();
      kept.set(first + i, row);
      const weight = weights[i] ?? 0;
      for (let at = 0; at < stride; at += 1) sum[at] = (sum[at] ?? 0) + (row[at] ?? 0) * weight;
    }
    for (let at = 0; at < stride; at += 1) bytes[at] = clip(sum[at] ?? 0);
    yield { y, bytes };
  }
}

function clip(sum: number): number {
  const value = sum >> PRECISION_BITS;
  return value < 0 ? 0 : value > 255 ? 255 : value;
}
async function createWindows(
  from: number,
  to: number,
  pace: ReturnType<typeof createPacer>,
): Promise<Window[]> {
  const scale = from / to;
  const stretch = Math.max(scale, 1);
  const support = LOBES * stretch;
  const windows: Window[] = [];
  for (let i = 0; i < to; i += 1) {
    const center = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - support + 0.5));
    const end = Math.min(from, Math.trunc(center + support + 0.5));
    const exact = Array.from({ length: end - first }, (_, x) =>
      lanczos((x + first - center + 0.5) / stretch),
    );
    const total = exact.reduce((sum, weight) => sum + weight, 0);
    const weights = Int32Array.from(exact, (weight) => {
      const fixed = (weight / total) * (1 << PRECISION_BITS);
      return Math.trunc(fixed < 0 ? fixed - 0.5 : fixed + 0.5);
    });
    windows.push({ first, weights });
    const pause = pace();
    if (pause) await pause;
  }
  return windows;
}

function lanczos(x: number): number {
  return -LOBES <= x && x < LOBES ? sinc(x) * sinc(x / LOBES) : 0;
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);
}

function premultiply(bytes: Uint8Array): void {
  for (let i = 0; i < bytes.length; i += 4) {
    const alpha = bytes[i + 3] ?? 255;
    for (let c = i; c < i + 3; c += 1) bytes[c] = Math.round(((bytes[c] ?? 0) * alpha) / 255);
  }
}

function unpremultiply(bytes: Uint8Array): void {
  for (let i = 0; i < bytes.length; i += 4) {
    const alpha = bytes[i + 3] ?? 255;
    if (alpha === 0 || alpha === 255) continue;
    for (let c = i; c < i + 3; c += 1)
      bytes[c] = Math.min(255, Math.trunc((255 * (bytes[c] ?? 0)) / alpha));
  }
}
