import { inSlices } from '@tiercel/pictures';
import type { NodeContext } from '../node-definition.ts';

/** What long work on samples needs of the node that does it. */
export type FrameWork = Pick<NodeContext, 'signal' | 'reserveMemory'>;

/** Bytes of one sample of a frame (float32). */
export const SAMPLE_BYTES = 4;

/** A frame of zeros, as soon as there is memory for it. @throws MemoryLimitError; the reason of the signal */
export async function createFrame(
  length: number,
  { reserveMemory }: FrameWork,
): Promise<Float32Array> {
  await reserveMemory(length * SAMPLE_BYTES);
  return new Float32Array(length);
}

/** A frame of one colour. @throws as createFrame */
export async function fillFrame(
  length: number,
  pixel: readonly number[],
  work: FrameWork,
): Promise<Float32Array> {
  const frame = await createFrame(length, work);
  await fillSamples(frame, pixel, work.signal);
  return frame;
}

/** Paints a frame with one colour. @throws the reason of the signal */
export async function fillSamples(
  frame: Float32Array,
  pixel: readonly number[],
  signal: AbortSignal,
): Promise<void> {
  await inSlices(
    frame.length / pixel.length,
    (start, end) => {
      const [from, to] = [start * pixel.length, end * pixel.length];
      frame.set(pixel, from);
      // Doubling what is filled: far faster than a loop over samples.
      for (let filled = pixel.length; from + filled < to; filled *= 2) {
        frame.copyWithin(from + filled, from, from + Math.min(filled, to - from - filled));
      }
    },
    signal,
  );
}

/**
 * One new frame for each frame, each with `length` samples. Frames that are one object stay one.
 * @throws MemoryLimitError; the reason of the signal
 */
export async function makeFrames(
  frames: readonly Float32Array[],
  length: number,
  work: FrameWork,
  fill: (from: Float32Array, to: Float32Array) => Promise<void>,
): Promise<Float32Array[]> {
  const made = new Map<Float32Array, Float32Array>();
  await work.reserveMemory(new Set(frames).size * length * SAMPLE_BYTES);
  const all: Float32Array[] = [];
  for (const frame of frames) {
    work.signal.throwIfAborted();
    let to = made.get(frame);
    if (to === undefined) {
      to = new Float32Array(length);
      await fill(frame, to);
      made.set(frame, to);
    }
    all.push(to);
  }
  return all;
}

/** Frames with each sample changed by itself. @throws as makeFrames */
export function mapSamples(
  frames: readonly Float32Array[],
  work: FrameWork,
  change: (sample: number) => number,
): Promise<Float32Array[]> {
  return makeFrames(frames, frames[0]?.length ?? 0, work, (from, to) =>
    inSlices(
      from.length,
      (start, end) => {
        for (let i = start; i < end; i += 1) to[i] = change(from[i] ?? 0);
      },
      work.signal,
    ),
  );
}
