import {
  inRows,
  interpolate,
  type InterpolationMethod,
  type Plane,
  resizeLanczos,
} from '@tiercel/pictures';
import type { ImageBatch } from '../values.ts';
import { type FrameWork, SAMPLE_BYTES } from './frame-work.ts';

export type ScaleMethod = InterpolationMethod | 'lanczos';
export const SCALE_METHODS: readonly ScaleMethod[] = [
  'nearest-exact',
  'bilinear',
  'area',
  'bicubic',
  'lanczos',
];

export function isScaleMethod(value: string): value is ScaleMethod {
  return SCALE_METHODS.some((method) => method === value);
}

/** Frames of one size: of a picture, or of a mask, which has one channel. */
interface Frames {
  readonly width: number;
  readonly height: number;
  readonly channels?: number;
  readonly frames: readonly Float32Array[];
}

export interface ScaleOptions {
  /** Pixels. */
  readonly width: number;
  readonly height: number;
  readonly method: ScaleMethod;
  readonly crop: string;
}

/**
 * Resizes a batch; `crop: 'center'` first cuts it to the wanted aspect ratio.
 * Results may leave 0..1 (bicubic overshoots), as in ComfyUI.
 * @throws MemoryLimitError; the reason of the signal
 */
export async function scaleImage(
  image: ImageBatch,
  options: ScaleOptions,
  work: FrameWork,
): Promise<ImageBatch> {
  const { width, height } = options;
  return { ...image, width, height, frames: await scaleFrames(image, options, work) };
}

/** The frames of a batch resized. @throws as scaleImage */
export async function scaleFrames(
  batch: Frames,
  { width, height, method, crop }: ScaleOptions,
  work: FrameWork,
): Promise<Float32Array[]> {
  const { channels = 1 } = batch;
  const done = new Map<Float32Array, Float32Array>(); // equal frames are often the same object
  const frames: Float32Array[] = [];
  for (const samples of batch.frames) {
    let scaled = done.get(samples);
    if (!scaled) {
      const whole: Plane = { width: batch.width, height: batch.height, channels, samples };
      await work.reserveMemory(width * height * channels * SAMPLE_BYTES);
      const plane = crop === 'center' ? await cropToAspect(whole, width / height, work) : whole;
      scaled =
        method === 'lanczos'
          ? await resizeLanczos(plane, width, height, work.signal)
          : await interpolate(plane, width, height, method, work.signal);
      done.set(samples, scaled);
    }
    frames.push(scaled);
  }
  return frames;
}

function cropToAspect(plane: Plane, aspect: number, work: FrameWork): Promise<Plane> {
  const { width, height } = plane;
  const current = width / height;
  const x = current > aspect ? roundHalfEven((width - width * (aspect / current)) / 2) : 0;
  const y = current < aspect ? roundHalfEven((height - height * (current / aspect)) / 2) : 0;
  return cropPlane(plane, { x, y, width: width - 2 * x, height: height - 2 * y }, work);
}

/** A part of a plane; the plane itself when it is all of it. @throws MemoryLimitError; the reason of the signal */
export async function cropPlane(
  plane: Plane,
  box: { x: number; y: number; width: number; height: number },
  { reserveMemory, signal }: FrameWork,
): Promise<Plane> {
  const { channels } = plane;
  const { x, y, width, height } = box;
  if (width === plane.width && height === plane.height) return plane;
  await reserveMemory(width * height * channels * SAMPLE_BYTES);
  const samples = new Float32Array(width * height * channels);
  await inRows(
    box,
    (row) => {
      const from = ((y + row) * plane.width + x) * channels;
      samples.set(plane.samples.subarray(from, from + width * channels), row * width * channels);
    },
    signal,
  );
  return { width, height, channels, samples };
}

/** A part of every frame of a batch; the batch's own frames when it is all of them. @throws as cropPlane */
export async function cropFrames(
  batch: Frames,
  box: { x: number; y: number; width: number; height: number },
  work: FrameWork,
): Promise<Float32Array[]> {
  const { width, height, channels = 1 } = batch;
  const cropped = new Map<Float32Array, Float32Array>(); // equal frames are often the same object
  for (const samples of new Set(batch.frames)) {
    const part = await cropPlane({ width, height, channels, samples }, box, work);
    cropped.set(samples, part.samples);
  }
  return batch.frames.map((samples) => cropped.get(samples) ?? samples);
}

/** Python's round(): halves go to the even neighbour. */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** Lays a frame into a larger one of as many channels, its upper left corner there. @throws the signal's reason */
export async function layFrame(
  ground: Plane,
  frame: Plane,
  at: { readonly left: number; readonly top: number },
  signal: AbortSignal,
): Promise<void> {
  const row = frame.width * frame.channels;
  await inRows(
    frame,
    (y) => {
      const to = ((at.top + y) * ground.width + at.left) * ground.channels;
      ground.samples.set(frame.samples.subarray(y * row, (y + 1) * row), to);
    },
    signal,
  );
}
