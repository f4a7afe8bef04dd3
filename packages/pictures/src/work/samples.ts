import { inSlices } from './slices.ts';

/** One frame of interleaved float samples. */
export interface Plane {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly samples: Float32Array;
}

// Bound once: looking up a global in every turn of a pixel loop is slow inside vm contexts (Jest).
const { fround } = Math;

const UNIT = Float32Array.from({ length: 256 }, (_, i) => i / 255);

/** A byte as a sample in 0..1. */
export function toSample(byte: number): number {
  return UNIT[byte] ?? 0;
}

/**
 * 0..1 samples to bytes: clipped, then truncated in single precision, as ComfyUI saves pictures.
 * @param at where in `bytes` the first goes
 */
export function writeBytes(
  samples: Float32Array,
  bytes: Uint8Array,
  { from, to, at }: { from: number; to: number; at: number },
): void {
  const shift = at - from;
  for (let i = from; i < to; i += 1) {
    const value = fround(255 * (samples[i] ?? 0));
    bytes[i + shift] = value > 255 ? 255 : value > 0 ? value : 0; // also turns NaN into 0
  }
}

/** Bytes of all samples (see writeBytes). */
export async function toBytes(samples: Float32Array, signal?: AbortSignal): Promise<Uint8Array> {
  const bytes = new Uint8Array(samples.length);
  await inSlices(
    samples.length,
    (from, to) => {
      writeBytes(samples, bytes, { from, to, at: from });
    },
    signal,
  );
  return bytes;
}

/** Bytes to samples in 0..1. */
export async function toSamples(bytes: Uint8Array, signal?: AbortSignal): Promise<Float32Array> {
  const samples = new Float32Array(bytes.length);
  await inSlices(
    bytes.length,
    (from, to) => {
      for (let i = from; i < to; i += 1) samples[i] = UNIT[bytes[i] ?? 0] ?? 0;
    },
    signal,
  );
  return samples;
}
