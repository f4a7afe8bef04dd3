import { createPacer, inSlices, type Plane } from '@tiercel/pictures';
import { createFrame, type FrameWork } from '../image/frame-work.ts';
import type { NodeDefinition } from '../node-definition.ts';
import { readImage, readNumber, readText } from '../read-input.ts';
import type { ImageBatch } from '../values.ts';
import { declareNode } from './declare-node.ts';

type Extreme = 'least' | 'greatest';

/**
 * Each sample of a line becomes the extreme of `reach` samples, of which half lie before it. What is outside does not
 * count. The extremes of twice as many are those of two neighbours, so a wide reach costs little more than a small one.
 * @param line with room for `reach` at both ends
 */
function spreadLine(line: Float32Array, length: number, reach: number, extreme: Extreme): void {
  const outside = extreme === 'least' ? Infinity : -Infinity;
  line.fill(outside, 0, reach);
  line.fill(outside, reach + length, length + 2 * reach);
  const pick = extreme === 'least' ? Math.min : Math.max;
  const merge = (distance: number) => {
    for (let i = 0; i + distance < line.length; i += 1) {
      line[i] = pick(line[i] ?? outside, line[i + distance] ?? outside);
    }
  };
  let covered = 1;
  for (; covered * 2 <= reach; covered *= 2) merge(covered);
  if (covered < reach) merge(reach - covered);
}

/** The extreme of a square around each sample. @throws MemoryLimitError; the reason of the signal */
async function spreadExtreme(
  { width, height, channels, samples }: Plane,
  reach: number,
  extreme: Extreme,
  work: FrameWork,
): Promise<Float32Array> {
  const result = await createFrame(samples.length, work);
  const pace = createPacer(work.signal);
  const first = reach - Math.floor(reach / 2);
  const run = async (
    from: Float32Array,
    lines: { readonly starts: readonly number[]; readonly length: number; readonly step: number },
  ) => {
    const { starts, length, step } = lines;
    const line = new Float32Array(length + 2 * reach);
    for (const start of starts) {
      for (let i = 0; i < length; i += 1) line[reach + i] = from[start + i * step] ?? 0;
      spreadLine(line, length, reach, extreme);
      for (let i = 0; i < length; i += 1) result[start + i * step] = line[first + i] ?? 0;
      const pause = pace();
      if (pause) await pause;
    }
  };
  const stride = width * channels;
  const rows = Array.from(
    { length: height * channels },
    (_, i) => Math.floor(i / channels) * stride + (i % channels),
  );
  await run(samples, { starts: rows, length: width, step: channels });
  const columns = Array.from({ length: stride }, (_, i) => i);
  await run(result, { starts: columns, length: height, step: stride });
  return result;
}

/** The steps of an operation, in order, and what is shown of it. */
const OPERATIONS: Readonly<
  Record<string, { readonly steps: readonly Extreme[]; readonly difference?: 'bright' | 'dark' }>
> = {
  erode: { steps: ['least'] },
  dilate: { steps: ['greatest'] },
  open: { steps: ['least', 'greatest'] },
  close: { steps: ['greatest', 'least'] },
  top_hat: { steps: ['least', 'greatest'], difference: 'bright' },
  bottom_hat: { steps: ['greatest', 'least'], difference: 'dark' },
};

async function changeFrame(
  plane: Plane,
  operation: string,
  reach: number,
  work: FrameWork,
): Promise<Float32Array> {
  if (operation === 'gradient') {
    const low = await spreadExtreme(plane, reach, 'least', work);
    const high = await spreadExtreme(plane, reach, 'greatest', work);
    return subtract(high, low, work);
  }
  const { steps, difference } = OPERATIONS[operation] ?? { steps: [] };
  let { samples } = plane;
  for (const extreme of steps)
    samples = await spreadExtreme({ ...plane, samples }, reach, extreme, work);
  if (difference === undefined) return samples;
  return difference === 'bright'
    ? subtract(plane.samples, samples, work)
    : subtract(samples, plane.samples, work);
}

async function subtract(a: Float32Array, b: Float32Array, work: FrameWork): Promise<Float32Array> {
  const result = await createFrame(a.length, work);
  await inSlices(
    a.length,
    (start, end) => {
      for (let i = start; i < end; i += 1) result[i] = (a[i] ?? 0) - (b[i] ?? 0);
    },
    work.signal,
  );
  return result;
}

/** Grows and shrinks what is bright, by squares of `kernel_size`. */
export const morphologyNode: NodeDefinition = declareNode('Morphology', async (inputs, context) => {
  const image = readImage(inputs, 'image');
  const operation = readText(inputs, 'operation');
  const reach = readNumber(inputs, 'kernel_size');
  const frames: Float32Array[] = [];
  for (const samples of image.frames) {
    frames.push(await changeFrame({ ...image, samples }, operation, reach, context));
  }
  return { outputs: [{ ...image, frames } satisfies ImageBatch] };
});
