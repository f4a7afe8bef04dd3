import { checkPixels } from '../image/create-image.ts';
import { cropPlane } from '../image/scale-image.ts';
import type { NodeDefinition } from '../node-definition.ts';
import { NodeError } from '../node-error.ts';
import { readImage, readLatent, readNumber, readText } from '../read-input.ts';
import { renderLatent } from '../sketch/render-latent.ts';
import type { ImageBatch, Latent, LatentLayer } from '../values.ts';

/** Latents are an eighth of the picture, so its sides are multiples of this. */
const CELL = 8;
const MIN_UPSCALED_SIDE = 64;
const MAX_SIDE = 16_384;

const toCells = (pixels: number) => Math.floor(pixels / CELL) * CELL;

const emptyLatentImage: NodeDefinition = {
  class_type: 'EmptyLatentImage',
  display_name: 'Empty Latent Image',
  category: 'latent',
  input: {
    required: {
      width: ['INT', { default: 512, min: 16, max: MAX_SIDE, step: CELL }],
      height: ['INT', { default: 512, min: 16, max: MAX_SIDE, step: CELL }],
      batch_size: ['INT', { default: 1, min: 1, max: 4096 }],
    },
  },
  output: ['LATENT'],
  run(inputs, context) {
    const width = toCells(readNumber(inputs, 'width'));
    const height = toCells(readNumber(inputs, 'height'));
    const count = readNumber(inputs, 'batch_size');
    checkPixels(width, height, count, context.maxPixels);
    const frames = Array.from({ length: count }, () => []);
    return Promise.resolve({
      outputs: [{ kind: 'latent', width, height, frames } satisfies Latent],
    });
  },
};

const vaeEncode: NodeDefinition = {
  class_type: 'VAEEncode',
  display_name: 'VAE Encode',
  category: 'latent',
  input: { required: { pixels: ['IMAGE'], vae: ['VAE'] } },
  output: ['LATENT'],
  run(inputs) {
    const image = readImage(inputs, 'pixels');
    const width = toCells(image.width);
    const height = toCells(image.height);
    if (width === 0 || height === 0) {
      throw new NodeError(`A picture of ${image.width}x${image.height} is too small to encode.`, {
        exceptionType: 'ValueError',
      });
    }
    const frames = image.frames.map((frame) => [toPixelLayer(image, frame, width, height)]);
    const latent: Latent = { kind: 'latent', width, height, frames, sketch: image.sketch };
    return Promise.resolve({ outputs: [latent] });
  },
};

/** Cuts the middle out of a frame, as ComfyUI crops to whole latent cells, and drops alpha. */
function toPixelLayer(
  image: ImageBatch,
  frame: Float32Array,
  width: number,
  height: number,
): LatentLayer {
  const x = Math.floor((image.width % CELL) / 2);
  const y = Math.floor((image.height % CELL) / 2);
  const { samples } = cropPlane({ ...image, samples: frame }, { x, y, width, height });
  const rgb = image.channels === 3 ? samples : samples.filter((_, i) => i % 4 !== 3);
  return { kind: 'pixels', width, height, samples: rgb };
}

const vaeDecode: NodeDefinition = {
  class_type: 'VAEDecode',
  display_name: 'VAE Decode',
  category: 'latent',
  input: { required: { samples: ['LATENT', {}], vae: ['VAE', {}] } },
  output: ['IMAGE'],
  async run(inputs, context) {
    const { width, height, frames, sketch } = readLatent(inputs, 'samples');
    checkPixels(width, height, frames.length, context.maxPixels);
    const rendered: Float32Array[] = [];
    for (const layers of frames) {
      context.signal.throwIfAborted();
      rendered.push(await renderLatent(layers, width, height));
    }
    const image: ImageBatch = {
      kind: 'image',
      width,
      height,
      channels: 3,
      frames: rendered,
      sketch,
    };
    return { outputs: [image] };
  },
};

const repeatLatentBatch: NodeDefinition = {
  class_type: 'RepeatLatentBatch',
  display_name: 'Repeat Latent Batch',
  category: 'latent/batch',
  input: {
    required: { samples: ['LATENT'], amount: ['INT', { default: 1, min: 1, max: 64 }] },
  },
  output: ['LATENT'],
  run(inputs, context) {
    const latent = readLatent(inputs, 'samples');
    const amount = readNumber(inputs, 'amount');
    checkPixels(latent.width, latent.height, latent.frames.length * amount, context.maxPixels);
    const frames = Array.from({ length: amount }, () => latent.frames).flat();
    return Promise.resolve({ outputs: [{ ...latent, frames }] });
  },
};

const latentUpscale: NodeDefinition = {
  class_type: 'LatentUpscale',
  display_name: 'Upscale Latent',
  category: 'latent',
  input: {
    required: {
      samples: ['LATENT'],
      upscale_method: [['nearest-exact', 'bilinear', 'area', 'bicubic', 'bislerp']],
      width: ['INT', { default: 512, min: 0, max: MAX_SIDE, step: CELL }],
      height: ['INT', { default: 512, min: 0, max: MAX_SIDE, step: CELL }],
      crop: [['disabled', 'center']],
    },
  },
  output: ['LATENT'],
  // Layers have no size of their own: a larger latent is painted larger. Crop and method change nothing here.
  run(inputs, context) {
    const latent = readLatent(inputs, 'samples');
    readText(inputs, 'upscale_method');
    let width = readNumber(inputs, 'width');
    let height = readNumber(inputs, 'height');
    if (width === 0 && height === 0) return Promise.resolve({ outputs: [latent] });
    if (width === 0) width = Math.round((latent.width * height) / latent.height);
    if (height === 0) height = Math.round((latent.height * width) / latent.width);
    width = toCells(Math.max(MIN_UPSCALED_SIDE, width));
    height = toCells(Math.max(MIN_UPSCALED_SIDE, height));
    checkPixels(width, height, latent.frames.length, context.maxPixels);
    return Promise.resolve({ outputs: [{ ...latent, width, height }] });
  },
};

export const latentNodes: readonly NodeDefinition[] = [
  emptyLatentImage,
  vaeEncode,
  vaeDecode,
  repeatLatentBatch,
  latentUpscale,
];
