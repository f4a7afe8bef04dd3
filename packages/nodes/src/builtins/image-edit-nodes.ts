import { inRows, inSlices } from '@tiercel/pictures';
import { checkPixels } from '../image/create-image.ts';
import { type FrameWork, makeFrames, SAMPLE_BYTES } from '../image/frame-work.ts';
import { cropFrames, scaleImage } from '../image/scale-image.ts';
import type { NodeDefinition } from '../node-definition.ts';
import { readBoolean, readImage, readMask, readNumber, readText } from '../read-input.ts';
import type { ImageBatch } from '../values.ts';
import { addAlpha, dropAlpha } from './image-nodes.ts';
import { stretchMask } from './mask-pixels.ts';

const MAX_SIDE = 16_384;
const offset = (step: number) => ['INT', { default: 0, min: 0, max: MAX_SIDE, step }] as const;
const IMAGES = 'comfy_extras.nodes_images';
const listedNew = { display_name: null, deprecated: false, experimental: false, api_node: false };

const imageCrop: NodeDefinition = {
  class_type: 'ImageCrop',
  display_name: 'Image Crop',
  category: 'image/transform',
  python_module: IMAGES,
  input: {
    required: {
      image: ['IMAGE'],
      width: ['INT', { default: 512, min: 1, max: MAX_SIDE, step: 1 }],
      height: ['INT', { default: 512, min: 1, max: MAX_SIDE, step: 1 }],
      x: offset(1),
      y: offset(1),
    },
  },
  output: ['IMAGE'],
  async run(inputs, context) {
    const image = readImage(inputs, 'image');
    const x = Math.min(readNumber(inputs, 'x'), image.width - 1);
    const y = Math.min(readNumber(inputs, 'y'), image.height - 1);
    const width = Math.min(readNumber(inputs, 'width'), image.width - x);
    const height = Math.min(readNumber(inputs, 'height'), image.height - y);
    const frames = await cropFrames(image, { x, y, width, height }, context);
    return { outputs: [{ ...image, width, height, frames } satisfies ImageBatch] };
  },
};

const imageFlip: NodeDefinition = {
  class_type: 'ImageFlip',
  category: 'image/transform',
  python_module: IMAGES,
  input: {
    required: {
      image: ['IMAGE'],
      flip_method: [['x-axis: vertically', 'y-axis: horizontally']],
    },
  },
  output: ['IMAGE'],
  async run(inputs, context) {
    const image = readImage(inputs, 'image');
    const flipped = await flipImage(image, readText(inputs, 'flip_method'), context);
    return { outputs: [flipped] };
  },
};

/**
 * @param method `x-axis: vertically` or `y-axis: horizontally`
 * @throws as makeFrames
 */
export async function flipImage(
  image: ImageBatch,
  method: string,
  work: FrameWork,
): Promise<ImageBatch> {
  const upsideDown = method.startsWith('x');
  const { width, height, channels } = image;
  const stride = width * channels;
  const frames = await makeFrames(image.frames, stride * height, work, (frame, flipped) =>
    inRows(
      image,
      (y) => {
        if (upsideDown) {
          const from = (height - 1 - y) * stride;
          flipped.set(frame.subarray(from, from + stride), y * stride);
          return;
        }
        for (let x = 0; x < width; x += 1) {
          const from = (y * width + width - 1 - x) * channels;
          const to = (y * width + x) * channels;
          for (let c = 0; c < channels; c += 1) flipped[to + c] = frame[from + c] ?? 0;
        }
      },
      work.signal,
    ),
  );
  return { ...image, frames };
}

const repeatImageBatch: NodeDefinition = {
  class_type: 'RepeatImageBatch',
  category: 'image/batch',
  python_module: IMAGES,
  input: { required: { image: ['IMAGE'], amount: ['INT', { default: 1, min: 1, max: 4096 }] } },
  output: ['IMAGE'],
  run(inputs, context) {
    const image = readImage(inputs, 'image');
    const amount = readNumber(inputs, 'amount');
    checkPixels(image.width, image.height, image.frames.length * amount, context.maxPixels);
    const frames = Array.from({ length: amount }, () => image.frames).flat();
    return Promise.resolve({ outputs: [{ ...image, frames } satisfies ImageBatch] });
  },
};

const imageFromBatch: NodeDefinition = {
  class_type: 'ImageFromBatch',
  category: 'image/batch',
  python_module: IMAGES,
  input: {
    required: {
      image: ['IMAGE'],
      batch_index: ['INT', { default: 0, min: 0, max: 4095 }],
      length: ['INT', { default: 1, min: 1, max: 4096 }],
    },
  },
  output: ['IMAGE'],
  run(inputs) {
    const image = readImage(inputs, 'image');
    const from = Math.min(image.frames.length - 1, readNumber(inputs, 'batch_index'));
    const frames = image.frames.slice(from, from + readNumber(inputs, 'length'));
    return Promise.resolve({ outputs: [{ ...image, frames } satisfies ImageBatch] });
  },
};

const imageBlend: NodeDefinition = {
  class_type: 'ImageBlend',
  category: 'image/postprocessing',
  python_module: 'comfy_extras.nodes_post_processing',
  info: listedNew,
  input: {
    required: {
      image1: ['IMAGE', {}],
      image2: ['IMAGE', {}],
      blend_factor: ['FLOAT', { default: 0.5, min: 0, max: 1, step: 0.01 }],
      blend_mode: [
        'COMBO',
        {
          multiselect: false,
          options: ['normal', 'multiply', 'screen', 'overlay', 'soft_light', 'difference'],
        },
      ],
    },
  },
  output: ['IMAGE'],
  async run(inputs, context) {
    const [first, given] = await matchChannels(
      readImage(inputs, 'image1'),
      readImage(inputs, 'image2'),
      context,
    );
    const { width, height } = first;
    const isSame = given.width === width && given.height === height;
    const options = { width, height, method: 'bicubic', crop: 'center' } as const;
    const second = isSame ? given : await scaleImage(given, options, context);
    const factor = readNumber(inputs, 'blend_factor');
    const blend = blendPixel(readText(inputs, 'blend_mode'));
    const count = Math.max(first.frames.length, second.frames.length);
    checkPixels(width, height, count, context.maxPixels);
    const { min, max } = Math; // bound once: a look-up in every turn is slow inside vm contexts (Jest)
    const frames: Float32Array[] = [];
    for (let index = 0; index < count; index += 1) {
      const a = first.frames[index % first.frames.length] ?? new Float32Array();
      const b = second.frames[index % second.frames.length] ?? new Float32Array();
      await context.reserveMemory(a.length * SAMPLE_BYTES);
      const blended = new Float32Array(a.length);
      await inSlices(
        a.length,
        (start, end) => {
          for (let i = start; i < end; i += 1) {
            const value = a[i] ?? 0;
            const mixed = value * (1 - factor) + blend(value, b[i] ?? 0) * factor;
            blended[i] = min(1, max(0, mixed));
          }
        },
        context.signal,
      );
      frames.push(blended);
    }
    const sketch = first.sketch ?? second.sketch;
    return { outputs: [{ ...first, frames, sketch } satisfies ImageBatch] };
  },
};

/** Two batches with as many channels as the first: the other loses its alpha, or gets an opaque one. */
async function matchChannels(
  first: ImageBatch,
  other: ImageBatch,
  work: FrameWork,
): Promise<readonly [ImageBatch, ImageBatch]> {
  const match = first.channels === 3 ? dropAlpha : addAlpha;
  return [first, await match(other, work)];
}

const imageCompositeMasked: NodeDefinition = {
  class_type: 'ImageCompositeMasked',
  category: 'image',
  python_module: 'comfy_extras.nodes_mask',
  input: {
    required: {
      destination: ['IMAGE'],
      source: ['IMAGE'],
      x: offset(1),
      y: offset(1),
      resize_source: ['BOOLEAN', { default: false }],
    },
    optional: { mask: ['MASK'] },
  },
  output: ['IMAGE'],
  async run(inputs, context) {
    const [destination, given] = await matchChannels(
      readImage(inputs, 'destination'),
      readImage(inputs, 'source'),
      context,
    );
    const { width, height } = destination;
    const options = { width, height, method: 'bilinear', crop: 'disabled' } as const;
    const source = readBoolean(inputs, 'resize_source')
      ? await scaleImage(given, options, context)
      : given;
    const at = {
      left: Math.min(readNumber(inputs, 'x'), width),
      top: Math.min(readNumber(inputs, 'y'), height),
    };
    const masks =
      inputs.mask === undefined
        ? undefined
        : await stretchMask(readMask(inputs, 'mask'), source, context);
    return { outputs: [await compositeImages({ destination, source, masks, at }, context)] };
  },
};

/**
 * A batch with another one painted over it at that place, where the masks let it; shorter batches repeat.
 * @param parts the two have as many channels; masks are as large as the source
 * @throws MemoryLimitError; the reason of the signal
 */
export async function compositeImages(
  parts: {
    readonly destination: ImageBatch;
    readonly source: ImageBatch;
    readonly masks: readonly Float32Array[] | undefined;
    readonly at: { readonly left: number; readonly top: number };
  },
  work: FrameWork,
): Promise<ImageBatch> {
  const { destination, source, masks, at } = parts;
  const frames: Float32Array[] = [];
  for (const [index, frame] of destination.frames.entries()) {
    const paint = source.frames[index % source.frames.length] ?? new Float32Array();
    const mask = masks?.[index % masks.length];
    frames.push(await composite({ destination, frame, source, paint, mask, at }, work));
  }
  return { ...destination, frames, sketch: destination.sketch ?? source.sketch };
}

/** One frame with another one painted over it, where the mask lets it. */
async function composite(
  parts: {
    readonly destination: ImageBatch;
    readonly frame: Float32Array;
    readonly source: ImageBatch;
    readonly paint: Float32Array;
    readonly mask: Float32Array | undefined;
    readonly at: { readonly left: number; readonly top: number };
  },
  { reserveMemory, signal }: FrameWork,
): Promise<Float32Array> {
  const { destination, frame, source, paint, mask, at } = parts;
  const { width, height, channels } = destination;
  const stride = width * channels;
  const right = Math.min(width, at.left + source.width);
  const bottom = Math.min(height, at.top + source.height);
  await reserveMemory(frame.length * SAMPLE_BYTES);
  const result = new Float32Array(frame.length);
  await inRows(
    destination,
    (y) => {
      result.set(frame.subarray(y * stride, (y + 1) * stride), y * stride);
      if (y < at.top || y >= bottom) return;
      for (let x = at.left; x < right; x += 1) {
        const from = (y - at.top) * source.width + (x - at.left);
        const share = mask ? (mask[from] ?? 0) : 1;
        const to = (y * width + x) * channels;
        for (let c = 0; c < channels; c += 1) {
          result[to + c] =
            share * (paint[from * channels + c] ?? 0) + (1 - share) * (frame[to + c] ?? 0);
        }
      }
    },
    signal,
  );
  return result;
}

export const imageEditNodes: readonly NodeDefinition[] = [
  imageCrop,
  imageFlip,
  repeatImageBatch,
  imageFromBatch,
  imageBlend,
  imageCompositeMasked,
];

/** The formulas of ComfyUI's ImageBlend for one sample of each picture, by the name of the mode. */
function blendPixel(mode: string): (a: number, b: number) => number {
  switch (mode) {
    case 'multiply':
      return (a, b) => a * b;
    case 'screen':
      return (a, b) => 1 - (1 - a) * (1 - b);
    case 'overlay':
      return (a, b) => (a <= 0.5 ? 2 * a * b : 1 - 2 * (1 - a) * (1 - b));
    case 'soft_light':
      return (a, b) =>
        b <= 0.5 ? a - (1 - 2 * b) * a * (1 - a) : a + (2 * b - 1) * (lighten(a) - a);
    case 'difference':
      return (a, b) => a - b;
    default:
      return (_, b) => b;
  }
}

function lighten(value: number): number {
  return value <= 0.25 ? ((16 * value - 12) * value + 4) * value : Math.sqrt(value);
}
