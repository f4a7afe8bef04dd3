import { NodeError } from '../node-error.ts';
import type { ImageBatch } from '../values.ts';

/** @throws NodeError when `count` pictures of that size are over the limit (all in pixels) */
export function checkPixels(width: number, height: number, count: number, maxPixels: number): void {
  if (width * height * count > maxPixels) {
    throw new NodeError(
      `${count} picture(s) of ${width}x${height} are more than the ${maxPixels} pixels allowed here.`,
      { exceptionType: 'ValueError' },
    );
  }
}

/**
 * Makes an image batch. With `fill`, called as fill(x, y, channel, frame), samples are computed (0..1);
 * without it the picture is black. RGB unless `channels` is 4.
 */
export function createImage(options: {
  width: number;
  height: number;
  channels?: 3 | 4;
  count?: number;
  fill?: (x: number, y: number, channel: number, frame: number) => number;
}): ImageBatch {
  const { width, height, channels = 3, count = 1, fill } = options;
  const frames: Float32Array[] = [];
  for (let frame = 0; frame < count; frame += 1) {
    const samples = new Float32Array(width * height * channels);
    if (fill) {
      let at = 0;
      for (let y = 0; y < height; y += 1) {
        for (let x = 0; x < width; x += 1) {
          for (let c = 0; c < channels; c += 1) samples[at++] = fill(x, y, c, frame);
        }
      }
    }
    frames.push(samples);
  }
  return { kind: 'image', width, height, channels, frames };
}

// Bound once: looking up a global in every turn of a pixel loop is slow inside vm contexts (Jest).
const { fround } = Math;

/** 0..1 samples to bytes: clipped, then truncated in single precision, as ComfyUI saves pictures. */
export function toBytes(samples: Float32Array): Uint8Array {
  const bytes = new Uint8Array(samples.length);
  for (let i = 0; i < samples.length; i += 1) {
    const value = fround(255 * (samples[i] ?? 0));
    bytes[i] = value > 255 ? 255 : value > 0 ? value : 0; // also turns NaN into 0
  }
  return bytes;
}

const UNIT = Float32Array.from({ length: 256 }, (_, i) => i / 255);

/** Bytes to samples in 0..1. */
export function toSamples(bytes: Uint8Array): Float32Array {
  const samples = new Float32Array(bytes.length);
  for (let i = 0; i < bytes.length; i += 1) samples[i] = UNIT[bytes[i] ?? 0] ?? 0;
  return samples;
}
