import { createPacer } from '../pacer.ts';
import { toBytes, toSamples } from './create-image.ts';
import type { Plane } from './interpolate.ts';

/** Pillow's resampling works on bytes with 22-bit fixed-point weights; the rounding is part of the result. */
const PRECISION_BITS = 22;
const LOBES = 3;

interface Window {
  readonly first: number;
  readonly weights: Int32Array;
}

/** Resizes one frame as Pillow's Image.resize(LANCZOS) does (ComfyUI's "lanczos"), through 8 bits. */
export async function resizeLanczos(
  source: Plane,
  width: number,
  height: number,
): Promise<Float32Array> {
  const { channels } = source;
  if (width === source.width && height === source.height) return toSamples(toBytes(source.samples));
  const pace = createPacer();
  let bytes = toBytes(source.samples);
  if (channels === 4) premultiply(bytes);

  if (width !== source.width) {
    const windows = createWindows(source.width, width);
    const out = new Uint8Array(width * source.height * channels);
    for (let y = 0; y < source.height; y += 1) {
      const row = y * source.width * channels;
      let to = y * width * channels;
      for (const { first, weights } of windows) {
        for (let c = 0; c < channels; c += 1) {
          out[to++] = convolve(bytes, row + first * channels + c, channels, weights);
        }
      }
      const pause = pace();
      if (pause) await pause;
    }
    bytes = out;
  }

  if (height !== source.height) {
    const stride = width * channels;
    const out = new Uint8Array(stride * height);
    let to = 0;
    for (const { first, weights } of createWindows(source.height, height)) {
      for (let i = 0; i < stride; i += 1)
        out[to++] = convolve(bytes, first * stride + i, stride, weights);
      const pause = pace();
      if (pause) await pause;
    }
    bytes = out;
  }
  if (channels === 4) unpremultiply(bytes);
  return toSamples(bytes);
}

function convolve(bytes: Uint8Array, from: number, step: number, weights: Int32Array): number {
  let sum = 1 << (PRECISION_BITS - 1);
  for (let i = 0; i < weights.length; i += 1)
    sum += (bytes[from + i * step] ?? 0) * (weights[i] ?? 0);
  const value = sum >> PRECISION_BITS;
  return value < 0 ? 0 : value > 255 ? 255 : value;
}

function createWindows(from: number, to: number): Window[] {
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
