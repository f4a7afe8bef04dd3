import { inSlices } from '@tiercel/pictures';
import { checkPixels } from '../image/create-image.ts';
import { fillFrame, makeFrames, mapSamples, type FrameWork } from '../image/frame-work.ts';
import { isScaleMethod, roundHalfEven, SCALE_METHODS, scaleImage } from '../image/scale-image.ts';
import { type NodeDefinition, NodeError } from '../node-definition.ts';
import { readImage, readNumber, readText } from '../read-input.ts';
import type { ImageBatch } from '../values.ts';

const MAX_SIDE = 16_384;
const sideSpec = (min: number) => ['INT', { default: 512, min, max: MAX_SIDE, step: 1 }] as const;

function readMethod(text: string) {
  if (isScaleMethod(text)) return text;
  throw new NodeError(`unknown upscale_method: ${text}`, { exceptionType: 'ValueError' });
}

const emptyImage: NodeDefinition = {
  class_type: 'EmptyImage',
  category: 'image',
  input: {
    required: {
      width: sideSpec(1),
      height: sideSpec(1),
      batch_size: ['INT', { default: 1, min: 1, max: 4096 }],
      color: ['INT', { default: 0, min: 0, max: 0xffffff, step: 1, display: 'color' }],
    },
  },
  output: ['IMAGE'],
  async run(inputs, context) {
    const width = readNumber(inputs, 'width');
    const height = readNumber(inputs, 'height');
    const count = readNumber(inputs, 'batch_size');
    const color = readNumber(inputs, 'color');
    checkPixels(width, height, count, context.maxPixels);
    const pixel = [(color >> 16) & 0xff, (color >> 8) & 0xff, color & 0xff].map((c) => c / 0xff);
    const frame = await fillFrame(width * height * 3, pixel, context);
    const frames = new Array<Float32Array>(count).fill(frame);
    return { outputs: [{ kind: 'image', width, height, channels: 3, frames }] };
  },
};

const imageInvert: NodeDefinition = {
  class_type: 'ImageInvert',
  display_name: 'Invert Image',
  category: 'image',
  input: { required: { image: ['IMAGE'] } },
  output: ['IMAGE'],
  async run(inputs, context) {
    const image = readImage(inputs, 'image');
    const frames = await mapSamples(image.frames, context, (value) => 1 - value);
    return { outputs: [{ ...image, frames }] };
  },
};

const imageBatch: NodeDefinition = {
  class_type: 'ImageBatch',
  display_name: 'Batch Images',
  category: 'image',
  input: { required: { image1: ['IMAGE'], image2: ['IMAGE'] } },
  output: ['IMAGE'],
  async run(inputs, context) {
    let first = readImage(inputs, 'image1');
    let second = readImage(inputs, 'image2');
    checkPixels(
      first.width,
      first.height,
      first.frames.length + second.frames.length,
      context.maxPixels,
    );
    if (first.channels !== second.channels) {
      first = await addAlpha(first, context);
      second = await addAlpha(second, context);
    }
    const { width, height } = first;
    if (second.width !== width || second.height !== height) {
      const options = { width, height, method: 'bilinear', crop: 'center' } as const;
      second = await scaleImage(second, options, context);
    }
    const batch = { ...first, frames: [...first.frames, ...second.frames] };
    return { outputs: [{ ...batch, sketch: first.sketch ?? second.sketch }] };
  },
};

/** Gives an RGB batch an opaque alpha channel. @throws MemoryLimitError; the reason of the signal */
export async function addAlpha(image: ImageBatch, work: FrameWork): Promise<ImageBatch> {
  if (image.channels === 4) return image;
  const pixels = image.width * image.height;
  const frames = await makeFrames(image.frames, pixels * 4, work, (rgb, rgba) =>
    inSlices(
      pixels,
      (start, end) => {
        for (let i = start; i < end; i += 1) {
          for (let c = 0; c < 3; c += 1) rgba[i * 4 + c] = rgb[i * 3 + c] ?? 0;
          rgba[i * 4 + 3] = 1;
        }
      },
      work.signal,
    ),
  );
  return { ...image, channels: 4, frames };
}

/** The colours of an RGBA batch, as they are. @throws MemoryLimitError; the reason of the signal */
export async function dropAlpha(image: ImageBatch, work: FrameWork): Promise<ImageBatch> {
  if (image.channels === 3) return image;
  const pixels = image.width * image.height;
  const frames = await makeFrames(image.frames, pixels * 3, work, (rgba, rgb) =>
    inSlices(
      pixels,
      (start, end) => {
        for (let i = start; i < end; i += 1) {
          for (let c = 0; c < 3; c += 1) rgb[i * 3 + c] = rgba[i * 4 + c] ?? 0;
        }
      },
      work.signal,
    ),
  );
  return { ...image, channels: 3, frames };
}

const imageScale: NodeDefinition = {
  class_type: 'ImageScale',
  display_name: 'Upscale Image',
  category: 'image/upscaling',
  input: {
    required: {
      image: ['IMAGE'],
      upscale_method: [SCALE_METHODS],
      width: sideSpec(0),
      height: sideSpec(0),
      crop: [['disabled', 'center']],
    },
  },
  output: ['IMAGE'],
  async run(inputs, context) {
    const image = readImage(inputs, 'image');
    const method = readMethod(readText(inputs, 'upscale_method'));
    const crop = readText(inputs, 'crop');
    let width = readNumber(inputs, 'width');
    let height = readNumber(inputs, 'height');
    if (width === 0 && height === 0) return { outputs: [image] };
    // A side of 0 keeps the aspect ratio.
    if (width === 0) width = Math.max(1, roundHalfEven((image.width * height) / image.height));
    if (height === 0) height = Math.max(1, roundHalfEven((image.height * width) / image.width));
    checkPixels(width, height, image.frames.length, context.maxPixels);
    return { outputs: [await scaleImage(image, { width, height, method, crop }, context)] };
  },
};

const imageScaleBy: NodeDefinition = {
  class_type: 'ImageScaleBy',
  display_name: 'Upscale Image By',
  category: 'image/upscaling',
  input: {
    required: {
      image: ['IMAGE'],
      upscale_method: [SCALE_METHODS],
      scale_by: ['FLOAT', { default: 1, min: 0.01, max: 8, step: 0.01 }],
    },
  },
  output: ['IMAGE'],
  async run(inputs, context) {
    const image = readImage(inputs, 'image');
    const method = readMethod(readText(inputs, 'upscale_method'));
    const scale = readNumber(inputs, 'scale_by');
    const width = roundHalfEven(image.width * scale);
    const height = roundHalfEven(image.height * scale);
    if (width < 1 || height < 1) {
      throw new NodeError(`The scaled picture would be ${width}x${height}.`, {
        exceptionType: 'ValueError',
      });
    }
    checkPixels(width, height, image.frames.length, context.maxPixels);
    const options = { width, height, method, crop: 'disabled' };
    return { outputs: [await scaleImage(image, options, context)] };
  },
};

const solidMask: NodeDefinition = {
  class_type: 'SolidMask',
  category: 'mask',
  python_module: 'comfy_extras.nodes_mask',
  input: {
    required: {
      value: ['FLOAT', { default: 1, min: 0, max: 1, step: 0.01 }],
      width: sideSpec(1),
      height: sideSpec(1),
    },
  },
  output: ['MASK'],
  async run(inputs, context) {
    const width = readNumber(inputs, 'width');
    const height = readNumber(inputs, 'height');
    checkPixels(width, height, 1, context.maxPixels);
    const frame = await fillFrame(width * height, [readNumber(inputs, 'value')], context);
    return { outputs: [{ kind: 'mask', width, height, frames: [frame] }] };
  },
};

export const imageNodes: readonly NodeDefinition[] = [
  emptyImage,
  imageInvert,
  imageBatch,
  imageScale,
  imageScaleBy,
  solidMask,
];
