import { checkPixels } from '../image/create-image.ts';
import { fillSamples, makeFrames } from '../image/frame-work.ts';
import {
  cropFrames,
  isScaleMethod,
  layFrame,
  roundHalfEven,
  scaleImage,
  type ScaleMethod,
} from '../image/scale-image.ts';
import {
  type NodeContext,
  type NodeDefinition,
  NodeError,
  type NodeInputs,
} from '../node-definition.ts';
import { readImage, readMask, readMembers, readNumber, readText } from '../read-input.ts';
import type { ImageBatch, MaskBatch } from '../values.ts';
import { declareNode } from './declare-node.ts';
import { scaleMask, stretchMask } from './mask-pixels.ts';
import { addAlpha } from './image-nodes.ts';

interface Size {
  readonly width: number;
  readonly height: number;
}

type Pixels = ImageBatch | MaskBatch;

const MEGAPIXEL = 1024 * 1024;

function readMethod(inputs: NodeInputs, name: string): ScaleMethod {
  const method = readText(inputs, name);
  if (isScaleMethod(method)) return method;
  throw new NodeError(`unknown ${name}: ${method}`, { exceptionType: 'ValueError' });
}

/** A picture or a mask. */
function readPixels(value: unknown): Pixels {
  const isMask =
    typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'mask';
  return isMask ? readMask({ value }, 'value') : readImage({ value }, 'value');
}

/** @param how `crop: 'center'` first cuts to the wanted shape */
async function resize<T extends Pixels>(
  pixels: T,
  size: Size,
  how: { method: ScaleMethod; crop?: string; context: NodeContext },
): Promise<T> {
  const { width, height } = size;
  if (width < 1 || height < 1) {
    throw new NodeError(`The scaled picture would be ${width}x${height}.`, {
      exceptionType: 'ValueError',
    });
  }
  checkPixels(width, height, pixels.frames.length, how.context.maxPixels);
  const { method, crop = 'disabled', context } = how;
  const target = { width, height, method, crop };
  const scaled =
    pixels.kind === 'image'
      ? await scaleImage(pixels, target, context)
      : await scaleMask(pixels, target, context);
  return { ...pixels, ...scaled };
}

/** The size whose longer (or shorter) side is this, in the same shape. */
function fitSide({ width, height }: Size, side: number, isLonger: boolean): Size {
  if (width === height) return { width: side, height: side };
  const isAcross = width > height === isLonger;
  return isAcross
    ? { width: side, height: roundHalfEven((height / width) * side) }
    : { width: roundHalfEven((width / height) * side), height: side };
}

/** The size with so many pixels, in the same shape, its sides multiples of `multiple`. */
function fitPixels({ width, height }: Size, pixels: number, multiple: number): Size {
  const scale = Math.sqrt(pixels / (width * height));
  const fit = (side: number) => roundHalfEven((side * scale) / multiple) * multiple;
  return { width: fit(width), height: fit(height) };
}

/** A side of 0 follows from the other. */
function fillSide(own: Size, { width, height }: Size): Size {
  if (width === 0 && height === 0) return own;
  return {
    width: width || Math.max(1, roundHalfEven((own.width * height) / own.height)),
    height: height || Math.max(1, roundHalfEven((own.height * width) / own.width)),
  };
}

const scaleToTotalPixels = declareNode('ImageScaleToTotalPixels', async (inputs, context) => {
  const image = readImage(inputs, 'image');
  const steps = inputs.resolution_steps === undefined ? 1 : readNumber(inputs, 'resolution_steps');
  const size = fitPixels(image, readNumber(inputs, 'megapixels') * MEGAPIXEL, steps);
  const method = readMethod(inputs, 'upscale_method');
  return { outputs: [await resize(image, size, { method, context })] };
});

const scaleToMaxDimension = declareNode('ImageScaleToMaxDimension', async (inputs, context) => {
  const image = readImage(inputs, 'image');
  const size = fitSide(image, readNumber(inputs, 'largest_size'), true);
  const method = readMethod(inputs, 'upscale_method');
  return { outputs: [await resize(image, size, { method, context })] };
});

const resizeImageMask = declareNode('ResizeImageMaskNode', async (inputs, context) => {
  const pixels = readPixels(inputs.input);
  const type = readText(inputs, 'resize_type');
  const method = readMethod(inputs, 'scale_method');
  const number = (name: string) => readNumber(inputs, `resize_type.${name}`);
  const crop = () => ({ crop: readText(inputs, 'resize_type.crop') });
  const to = async (size: Size, more: { crop?: string } = {}) => ({
    outputs: [await resize(pixels, size, { method, context, ...more })],
  });
  switch (type) {
    case 'scale dimensions':
      return to(fillSide(pixels, { width: number('width'), height: number('height') }), crop());
    case 'scale by multiplier': {
      const scale = number('multiplier');
      const [width, height] = [pixels.width * scale, pixels.height * scale].map(roundHalfEven);
      return to({ width: width ?? 0, height: height ?? 0 });
    }
    case 'scale longer dimension':
      return to(fitSide(pixels, number('longer_size'), true));
    case 'scale shorter dimension':
      return to(fitSide(pixels, number('shorter_size'), false));
    case 'scale width':
      return to(fillSide(pixels, { width: number('width'), height: 0 }));
    case 'scale height':
      return to(fillSide(pixels, { width: 0, height: number('height') }));
    case 'scale total pixels': {
      // Not declared by every version.
      const multiple = inputs['resize_type.multiple'] === undefined ? 1 : number('multiple');
      const { width, height } = fitPixels(
        pixels,
        Math.floor(number('megapixels') * MEGAPIXEL),
        multiple,
      );
      return to({ width: Math.max(multiple, width), height: Math.max(multiple, height) });
    }
    case 'match size':
      return to(readPixels(inputs['resize_type.match']), crop());
    case 'scale to multiple':
      return { outputs: [await coverMultiple(pixels, number('multiple'), { method, context })] };
    default:
      throw new NodeError(`Unsupported resize type: ${type}`, { exceptionType: 'ValueError' });
  }
});

/** Scaled as little as covers the next smaller multiples, and cut to them. */
async function coverMultiple(
  pixels: Pixels,
  multiple: number,
  how: { method: ScaleMethod; context: NodeContext },
): Promise<Pixels> {
  const { width, height } = pixels;
  const [wide, high] = [width, height].map((side) => Math.floor(side / multiple) * multiple);
  if (!wide || !high || (wide === width && high === height)) return pixels;
  const scale = Math.max(wide / width, high / height);
  const size = {
    width: Math.max(wide, Math.ceil(width * scale)),
    height: Math.max(high, Math.ceil(height * scale)),
  };
  const scaled = await resize(pixels, size, how);
  const x = Math.floor((scaled.width - wide) / 2);
  const y = Math.floor((scaled.height - high) / 2);
  const frames = await cropFrames(scaled, { x, y, width: wide, height: high }, how.context);
  return { ...scaled, width: wide, height: high, frames };
}

/** The sizes that Flux Kontext was trained on, width by height. */
const KONTEXT_SIZES: readonly (readonly [number, number])[] = [
  ...([
    [672, 1568],
    [688, 1504],
    [720, 1456],
    [752, 1392],
    [800, 1328],
    [832, 1248],
  ] as const),
  ...([
    [880, 1184],
    [944, 1104],
    [1024, 1024],
    [1104, 944],
    [1184, 880],
    [1248, 832],
  ] as const),
  ...([
    [1328, 800],
    [1392, 752],
    [1456, 720],
    [1504, 688],
    [1568, 672],
  ] as const),
];

const kontextScale = declareNode('FluxKontextImageScale', async (inputs, context) => {
  const image = readImage(inputs, 'image');
  const shape = image.width / image.height;
  const off = ([width, height]: readonly [number, number]) => Math.abs(shape - width / height);
  const [width, height] = KONTEXT_SIZES.reduce((best, size) =>
    off(size) < off(best) ? size : best,
  );
  const how = { method: 'lanczos', crop: 'center', context } as const;
  return { outputs: [await resize(image, { width, height }, how)] };
});

/** Most upscaling models quadruple. */
const MODEL_SCALE = 4;

/** Stands for a model that would draw new detail: here the picture only gets larger. */
const upscaleWithModel = declareNode('ImageUpscaleWithModel', async (inputs, context) => {
  const image = readImage(inputs, 'image');
  const size = { width: image.width * MODEL_SCALE, height: image.height * MODEL_SCALE };
  return { outputs: [await resize(image, size, { method: 'lanczos', context })] };
});

const PADDINGS: Readonly<Record<string, number>> = { white: 1, black: 0 };

/** As large as fits into the target, in the middle of a plain ground. */
const resizeAndPad = declareNode('ResizeAndPadImage', async (inputs, context) => {
  const image = readImage(inputs, 'image');
  const [width, height] = [readNumber(inputs, 'target_width'), readNumber(inputs, 'target_height')];
  checkPixels(width, height, image.frames.length, context.maxPixels);
  const scale = Math.min(width / image.width, height / image.height);
  const size = {
    width: Math.max(1, Math.floor(image.width * scale)),
    height: Math.max(1, Math.floor(image.height * scale)),
  };
  const method = readMethod(inputs, 'interpolation');
  const fitted = await resize(image, size, { method, context });
  const x = Math.floor((width - fitted.width) / 2);
  const y = Math.floor((height - fitted.height) / 2);
  const ground = PADDINGS[readText(inputs, 'padding_color')] ?? 0;
  const { channels } = image;
  const length = width * height * channels;
  const frames = await makeFrames(fitted.frames, length, context, async (frame, samples) => {
    await fillSamples(samples, [ground], context.signal);
    const padded = { width, height, channels, samples };
    await layFrame(padded, { ...fitted, samples: frame }, { left: x, top: y }, context.signal);
  });
  return { outputs: [{ ...fitted, width, height, frames } satisfies ImageBatch] };
});

/** All in the size of the first; with alpha when one of them has it. */
const batchImages = declareNode('BatchImagesNode', async (inputs, context) => {
  const images = readMembers(inputs, 'images').map((value) => readImage({ value }, 'value'));
  const [first] = images;
  if (first === undefined)
    throw new NodeError('There is no picture.', { exceptionType: 'ValueError' });
  const { width, height } = first;
  const count = images.reduce((sum, { frames }) => sum + frames.length, 0);
  checkPixels(width, height, count, context.maxPixels);
  const hasAlpha = images.some(({ channels }) => channels === 4);
  const frames: Float32Array[] = [];
  for (const image of images) {
    const isSame = image.width === width && image.height === height;
    const how = { width, height, method: 'bilinear', crop: 'center' } as const;
    const fitted = isSame ? image : await scaleImage(image, how, context);
    frames.push(...(hasAlpha ? await addAlpha(fitted, context) : fitted).frames);
  }
  const sketch = images.find((image) => image.sketch)?.sketch;
  return {
    outputs: [{ ...first, channels: hasAlpha ? 4 : 3, frames, sketch } satisfies ImageBatch],
  };
});

const batchMasks = declareNode('BatchMasksNode', async (inputs, context) => {
  const masks = readMembers(inputs, 'masks').map((value) => readMask({ value }, 'value'));
  const [first] = masks;
  if (first === undefined)
    throw new NodeError('There is no mask.', { exceptionType: 'ValueError' });
  const { width, height } = first;
  const count = masks.reduce((sum, mask) => sum + mask.frames.length, 0);
  checkPixels(width, height, count, context.maxPixels);
  const frames: Float32Array[] = [];
  for (const mask of masks) {
    frames.push(...(await stretchMask(mask, first, context)));
  }
  return { outputs: [{ ...first, frames } satisfies MaskBatch] };
});

/** Nodes that change the size of pictures, or bring several to one size. */
export const resizeNodes: readonly NodeDefinition[] = [
  scaleToTotalPixels,
  scaleToMaxDimension,
  resizeImageMask,
  kontextScale,
  upscaleWithModel,
  resizeAndPad,
  batchImages,
  batchMasks,
];
