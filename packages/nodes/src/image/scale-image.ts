import type { ImageBatch } from '../values.ts';
import { interpolate, type InterpolationMethod, type Plane } from './interpolate.ts';
import { resizeLanczos } from './lanczos.ts';

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

/**
 * Resizes a batch; `crop: 'center'` first cuts it to the wanted aspect ratio.
 * Results may leave 0..1 (bicubic overshoots), as in ComfyUI.
 */
export async function scaleImage(
  image: ImageBatch,
  options: { width: number; height: number; method: ScaleMethod; crop: string },
): Promise<ImageBatch> {
  const { width, height, method } = options;
  const done = new Map<Float32Array, Float32Array>(); // equal frames are often the same object
  const frames: Float32Array[] = [];
  for (const samples of image.frames) {
    let scaled = done.get(samples);
    if (!scaled) {
      const whole: Plane = {
        width: image.width,
        height: image.height,
        channels: image.channels,
        samples,
      };
      const plane = options.crop === 'center' ? cropToAspect(whole, width / height) : whole;
      scaled =
        method === 'lanczos'
          ? await resizeLanczos(plane, width, height)
          : await interpolate(plane, width, height, method);
      done.set(samples, scaled);
    }
    frames.push(scaled);
  }
  return { ...image, width, height, frames };
}

function cropToAspect(plane: Plane, aspect: number): Plane {
  const { width, height } = plane;
  const current = width / height;
  const x = current > aspect ? roundHalfEven((width - width * (aspect / current)) / 2) : 0;
  const y = current < aspect ? roundHalfEven((height - height * (current / aspect)) / 2) : 0;
  return cropPlane(plane, { x, y, width: width - 2 * x, height: height - 2 * y });
}

export function cropPlane(
  plane: Plane,
  box: { x: number; y: number; width: number; height: number },
): Plane {
  const { channels } = plane;
  const { x, y, width, height } = box;
  if (width === plane.width && height === plane.height) return plane;
  const samples = new Float32Array(width * height * channels);
  for (let row = 0; row < height; row += 1) {
    const from = ((y + row) * plane.width + x) * channels;
    samples.set(plane.samples.subarray(from, from + width * channels), row * width * channels);
  }
  return { width, height, channels, samples };
}

/** Python's round(): halves go to the even neighbour. */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
