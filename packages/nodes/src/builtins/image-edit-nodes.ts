import { checkPixels } from '../image/create-image.ts';
import { cropPlane, scaleImage } from '../image/scale-image.ts';
import { interpolate } from '../image/interpolate.ts';
import type { NodeDefinition } from '../node-definition.ts';
import { readBoolean, readImage, readMask, readNumber, readText } from '../read-input.ts';
import type { ImageBatch } from '../values.ts';
import { blendPixel } from './blend-modes.ts';
import { addAlpha } from './image-nodes.ts';

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
  run(inputs) {
    const image = readImage(inputs, 'image');
    const x = Math.min(readNumber(inputs, 'x'), image.width - 1);
    const y = Math.min(readNumber(inputs, 'y'), image.height - 1);
    const width = Math.min(readNumber(inputs, 'width'), image.width - x);
    const height = Math.min(readNumber(inputs, 'height'), image.height - y);
    const frames = image.frames.map(
      (samples) => cropPlane({ ...image, samples }, { x, y, width, height }).samples,
    );
    return Promise.resolve({ outputs: [{ ...image, width, height, frames } satisfies ImageBatch] });
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
  run(inputs) {
    const image = readImage(inputs, 'image');
    return Promise.resolve({ outputs: [flipImage(image, readText(inputs, 'flip_method'))] });
  },
};

/** @param method `x-axis: vertically` or `y-axis: horizontally` */
export function flipImage(image: ImageBatch, method: string): ImageBatch {
  const upsideDown = method.startsWith('x');
  const { width, height, channels } = image;
  const frames = image.frames.map((frame) => {
    const flipped = new Float32Array(frame.length);
    for (let y = 0; y < height; y += 1) {
      for (let x = 0; x < width; x += 1) {
        const from =
          ((upsideDown ? height - 1 - y : y) * width + (upsideDown ? x : width - 1 - x)) * channels;
        const to = (y * width + x) * channels;
        for (let c = 0; c < channels; c += 1) flipped[to + c] = frame[from + c] ?? 0;
      }
    }
    return flipped;
  });
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
    const [first, given] = matchChannels(readImage(inputs, 'image1'), readImage(inputs, 'image2'));
    const { width, height } = first;
    const isSame = given.width === width && given.height === height;
    const second = isSame
      ? given
      : await scaleImage(given, { width, height, method: 'bicubic', crop: 'center' });
    const factor = readNumber(inputs, 'blend_factor');
    const blend = blendPixel(readText(inputs, 'blend_mode'));
    const count = Math.max(first.frames.length, second.frames.length);
    checkPixels(width, height, count, context.maxPixels);
    const frames = Array.from({ length: count }, (_, index) => {
      const a = first.frames[index % first.frames.length] ?? new Float32Array();
      const b = second.frames[index % second.frames.length] ?? new Float32Array();
      return a.map((value, i) => {
        const mixed = value * (1 - factor) + blend(value, b[i] ?? 0) * factor;
        return Math.min(1, Math.max(0, mixed));
      });
    });
    const sketch = first.sketch ?? second.sketch;
    return { outputs: [{ ...first, frames, sketch } satisfies ImageBatch] };
  },
};

/** Two batches with as many channels: an opaque alpha for the one that has none. */
function matchChannels(a: ImageBatch, b: ImageBatch): readonly [ImageBatch, ImageBatch] {
  return a.channels === b.channels ? [a, b] : [addAlpha(a), addAlpha(b)];
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
  async run(inputs) {
    const [destination, given] = matchChannels(
      readImage(inputs, 'destination'),
      readImage(inputs, 'source'),
    );
    const { width, height, channels } = destination;
    const source = readBoolean(inputs, 'resize_source')
      ? await scaleImage(given, { width, height, method: 'bilinear', crop: 'disabled' })
      : given;
    const left = Math.min(readNumber(inputs, 'x'), width);
    const top = Math.min(readNumber(inputs, 'y'), height);
    const masks = await readMaskFor(
      source,
      inputs.mask === undefined ? undefined : readMask(inputs, 'mask'),
    );
    const frames = destination.frames.map((frame, index) => {
      const result = frame.slice();
      const paint = source.frames[index % source.frames.length];
      const mask = masks?.[index % masks.length];
      const right = Math.min(width, left + source.width);
      const bottom = Math.min(height, top + source.height);
      for (let y = top; y < bottom; y += 1) {
        for (let x = left; x < right; x += 1) {
          const from = (y - top) * source.width + (x - left);
          const share = mask ? (mask[from] ?? 0) : 1;
          const to = (y * width + x) * channels;
          for (let c = 0; c < channels; c += 1) {
            result[to + c] =
              share * (paint?.[from * channels + c] ?? 0) + (1 - share) * (frame[to + c] ?? 0);
          }
        }
      }
      return result;
    });
    const sketch = destination.sketch ?? source.sketch;
    return { outputs: [{ ...destination, frames, sketch } satisfies ImageBatch] };
  },
};

async function readMaskFor(
  { width, height }: ImageBatch,
  mask: ReturnType<typeof readMask> | undefined,
): Promise<readonly Float32Array[] | undefined> {
  if (mask === undefined) return undefined;
  const frames: Float32Array[] = [];
  for (const samples of mask.frames) {
    frames.push(await interpolate({ ...mask, channels: 1, samples }, width, height, 'bilinear'));
  }
  return frames;
}

export const imageEditNodes: readonly NodeDefinition[] = [
  imageCrop,
  imageFlip,
  repeatImageBatch,
  imageFromBatch,
  imageBlend,
  imageCompositeMasked,
];
