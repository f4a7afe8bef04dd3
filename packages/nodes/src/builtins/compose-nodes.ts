import { inRows, inSlices, type Plane } from '@tiercel/pictures';
import { checkPixels } from '../image/create-image.ts';
import {
  createFrame,
  fillFrame,
  fillSamples,
  makeFrames,
  type FrameWork,
} from '../image/frame-work.ts';
import { layFrame, roundHalfEven, scaleImage } from '../image/scale-image.ts';
import type { NodeDefinition, NodeInputs } from '../node-definition.ts';
import { readBoolean, readImage, readMask, readNumber, readText } from '../read-input.ts';
import type { ImageBatch, MaskBatch } from '../values.ts';
import { declareNode } from './declare-node.ts';
import { addAlpha, dropAlpha } from './image-nodes.ts';
import { scaleMask } from './mask-pixels.ts';

const GREY = 0.5;

/** A picture with room around it, and a mask of that room that fades into the picture. */
const padForOutpaint = declareNode('ImagePadForOutpaint', async (inputs, context) => {
  const image = readImage(inputs, 'image');
  const [left, top] = [readNumber(inputs, 'left'), readNumber(inputs, 'top')];
  const [right, bottom] = [readNumber(inputs, 'right'), readNumber(inputs, 'bottom')];
  const feathering = readNumber(inputs, 'feathering');
  const { channels } = image;
  const width = image.width + left + right;
  const height = image.height + top + bottom;
  checkPixels(width, height, image.frames.length, context.maxPixels);
  const length = width * height * channels;
  const frames = await makeFrames(image.frames, length, context, async (frame, samples) => {
    await fillSamples(samples, [GREY], context.signal);
    const ground = { width, height, channels, samples };
    await layFrame(ground, { ...image, samples: frame }, { left, top }, context.signal);
  });
  const mask = await fillFrame(width * height, [1], context);
  const isFeathered =
    feathering > 0 && feathering * 2 < image.height && feathering * 2 < image.width;
  await inRows(
    image,
    (y) => {
      const at = (y + top) * width + left;
      mask.fill(0, at, at + image.width);
      if (!isFeathered) return;
      const vertical = Math.min(
        top === 0 ? image.height : y,
        bottom === 0 ? image.height : image.height - y,
      );
      for (let x = 0; x < image.width; x += 1) {
        const horizontal = Math.min(
          left === 0 ? image.width : x,
          right === 0 ? image.width : image.width - x,
        );
        const distance = Math.min(vertical, horizontal);
        if (distance < feathering) mask[at + x] = ((feathering - distance) / feathering) ** 2;
      }
    },
    context.signal,
  );
  return {
    outputs: [
      { ...image, width, height, frames } satisfies ImageBatch,
      { kind: 'mask', width, height, frames: [mask] } satisfies MaskBatch,
    ],
  };
});

/** ComfyUI's masks are what is left out: opaque where the mask is 0. */
const joinAlpha = declareNode('JoinImageWithAlpha', async (inputs, context) => {
  const image = readImage(inputs, 'image');
  const { width, height, channels } = image;
  const how = { width, height, method: 'bilinear', crop: 'disabled' } as const;
  const alpha = await scaleMask(readMask(inputs, 'alpha'), how, context);
  const frames: Float32Array[] = [];
  for (const [index, frame] of image.frames.slice(0, alpha.frames.length).entries()) {
    const rgba = await createFrame(width * height * 4, context);
    const mask = alpha.frames[index];
    await inSlices(
      width * height,
      (start, end) => {
        for (let i = start; i < end; i += 1) {
          for (let c = 0; c < 3; c += 1) rgba[i * 4 + c] = frame[i * channels + c] ?? 0;
          rgba[i * 4 + 3] = 1 - (mask?.[i] ?? 0);
        }
      },
      context.signal,
    );
    frames.push(rgba);
  }
  return { outputs: [{ ...image, channels: 4, frames } satisfies ImageBatch] };
});

const splitAlpha = declareNode('SplitImageWithAlpha', async (inputs, context) => {
  const image = readImage(inputs, 'image');
  const { width, height, channels, frames } = image;
  const pixels = width * height;
  const { signal } = context;
  const hasAlpha = channels === 4;
  const masks = await makeFrames(frames, pixels, context, async (frame, mask) => {
    if (!hasAlpha) return; // nothing is left out
    await inSlices(
      pixels,
      (start, end) => {
        for (let i = start; i < end; i += 1) mask[i] = 1 - (frame[i * 4 + 3] ?? 1);
      },
      signal,
    );
  });
  return {
    outputs: [
      await dropAlpha(image, context),
      { kind: 'mask', width, height, frames: masks } satisfies MaskBatch,
    ],
  };
});

const COLORS: Readonly<Record<string, readonly [number, number, number]>> = {
  white: [1, 1, 1],
  black: [0, 0, 0],
  red: [1, 0, 0],
  green: [0, 1, 0],
  blue: [0, 0, 1],
};

/**
 * Two pictures side by side, with a stripe of colour between them where one is asked for. As in ComfyUI, what a smaller
 * one leaves is white beside a white stripe and black beside any other; of a picture with alpha that goes for it, too.
 */
const stitch = declareNode('ImageStitch', async (inputs, context) => {
  const first = readImage(inputs, 'image1');
  if (inputs.image2 === undefined) return { outputs: [first] };
  const direction = readText(inputs, 'direction');
  const isAcross = direction === 'left' || direction === 'right';
  const second = await fitBeside(first, inputs, isAcross, context);
  const gap = Math.ceil(readNumber(inputs, 'spacing_width') / 2) * 2;
  const color = COLORS[readText(inputs, 'spacing_color')] ?? [1, 1, 1];
  const [head, tail] =
    direction === 'right' || direction === 'down' ? [first, second] : [second, first];
  const width = isAcross ? head.width + gap + tail.width : Math.max(head.width, tail.width);
  const height = isAcross ? Math.max(head.height, tail.height) : head.height + gap + tail.height;
  const count = Math.max(head.frames.length, tail.frames.length);
  checkPixels(width, height, count, context.maxPixels);
  const hasAlpha = head.channels === 4 || tail.channels === 4;
  const [a, b] = hasAlpha
    ? [await addAlpha(head, context), await addAlpha(tail, context)]
    : [head, tail];
  const { channels } = a;
  const shade = color.every((value) => value === 1) ? 1 : 0;
  const frames: Float32Array[] = [];
  for (let index = 0; index < count; index += 1) {
    const canvas = await createFrame(width * height * channels, context);
    const stripe = isAcross
      ? { left: a.width, top: 0, width: gap, height }
      : { left: 0, top: a.height, width, height: gap };
    const whole = { width, height, channels, samples: canvas };
    await paintBox(whole, stripe, [...color, 1].slice(0, channels), context.signal);
    for (const [image, given, at] of [
      [a, head, 0],
      [b, tail, (isAcross ? a.width : a.height) + gap],
    ] as const) {
      const band = isAcross
        ? { left: at, top: 0, width: image.width, height }
        : { left: 0, top: at, width, height: image.height };
      const rest = Array.from({ length: channels }, (_, c) => (c < given.channels ? shade : 1));
      await paintBox(whole, band, rest, context.signal);
      const left = band.left + Math.floor((band.width - image.width) / 2);
      const top = band.top + Math.floor((band.height - image.height) / 2);
      const samples = image.frames[Math.min(index, image.frames.length - 1)] ?? new Float32Array();
      await layFrame(whole, { ...image, samples }, { left, top }, context.signal);
    }
    frames.push(canvas);
  }
  const sketch = a.sketch ?? b.sketch;
  return { outputs: [{ ...a, width, height, frames, sketch } satisfies ImageBatch] };
});

/** Paints a part of a frame with one colour. @throws the reason of the signal */
async function paintBox(
  { width, channels, samples }: Plane,
  box: { left: number; top: number; width: number; height: number },
  pixel: readonly number[],
  signal: AbortSignal,
): Promise<void> {
  await inRows(
    box,
    (y) => {
      const at = ((box.top + y) * width + box.left) * channels;
      for (let x = 0; x < box.width; x += 1) samples.set(pixel, at + x * channels);
    },
    signal,
  );
}

async function fitBeside(
  first: ImageBatch,
  inputs: NodeInputs,
  isAcross: boolean,
  work: FrameWork,
): Promise<ImageBatch> {
  const second = readImage(inputs, 'image2');
  if (!readBoolean(inputs, 'match_image_size')) return second;
  const shape = second.width / second.height;
  const width = isAcross ? Math.floor(first.height * shape) : first.width;
  const height = isAcross ? first.height : Math.floor(first.width / shape);
  const size = { width: Math.max(1, width), height: Math.max(1, height) };
  return scaleImage(second, { ...size, method: 'lanczos', crop: 'disabled' }, work);
}

const TURNS: Readonly<Record<string, number>> = {
  '90 degrees': 1,
  '180 degrees': 2,
  '270 degrees': 3,
};

/** Clockwise. */
const rotate = declareNode('ImageRotate', async (inputs, context) => {
  const image = readImage(inputs, 'image');
  return { outputs: [await rotateImage(image, readText(inputs, 'rotation'), context)] };
});

/**
 * @param rotation `none`, or `90 degrees` and so on, clockwise
 * @throws as makeFrames
 */
export async function rotateImage(
  image: ImageBatch,
  rotation: string,
  work: FrameWork,
): Promise<ImageBatch> {
  const turns = TURNS[rotation] ?? 0;
  if (turns === 0) return image;
  const { channels } = image;
  const isSideways = turns !== 2;
  const [width, height] = isSideways ? [image.height, image.width] : [image.width, image.height];
  const length = width * height * channels;
  const frames = await makeFrames(image.frames, length, work, (frame, turned) =>
    inRows(
      { width, height },
      (y) => {
        for (let x = 0; x < width; x += 1) {
          const [fromX, fromY] = findSource(turns, x, y, image);
          const from = (fromY * image.width + fromX) * channels;
          const to = (y * width + x) * channels;
          for (let c = 0; c < channels; c += 1) turned[to + c] = frame[from + c] ?? 0;
        }
      },
      work.signal,
    ),
  );
  return { ...image, width, height, frames };
}

function findSource(
  turns: number,
  x: number,
  y: number,
  { width, height }: ImageBatch,
): readonly [x: number, y: number] {
  if (turns === 1) return [y, height - 1 - x];
  if (turns === 2) return [width - 1 - x, height - 1 - y];
  return [width - 1 - y, x];
}

type Merge = (destination: number, source: number) => number;

const MERGES: Readonly<Record<string, Merge>> = {
  multiply: (a, b) => a * b,
  add: (a, b) => a + b,
  subtract: (a, b) => a - b,
  and: (a, b) => (isSet(a) && isSet(b) ? 1 : 0),
  or: (a, b) => (isSet(a) || isSet(b) ? 1 : 0),
  xor: (a, b) => (isSet(a) !== isSet(b) ? 1 : 0),
};

function isSet(value: number): boolean {
  return roundHalfEven(value) > 0;
}

const maskComposite = declareNode('MaskComposite', async (inputs, context) => {
  const destination = readMask(inputs, 'destination');
  const source = readMask(inputs, 'source');
  const [left, top] = [readNumber(inputs, 'x'), readNumber(inputs, 'y')];
  const merge = MERGES[readText(inputs, 'operation')] ?? ((_, b) => b);
  const { width, height } = destination;
  const right = Math.min(left + source.width, width);
  const bottom = Math.min(top + source.height, height);
  const frames: Float32Array[] = [];
  for (const [index, frame] of destination.frames.entries()) {
    const merged = await createFrame(frame.length, context);
    const over = source.frames[Math.min(index, source.frames.length - 1)];
    await inRows(
      destination,
      (y) => {
        merged.set(frame.subarray(y * width, (y + 1) * width), y * width);
        if (y < top || y >= bottom) return;
        for (let x = left; x < right; x += 1) {
          const at = y * width + x;
          const value = merge(frame[at] ?? 0, over?.[(y - top) * source.width + x - left] ?? 0);
          merged[at] = Math.min(1, Math.max(0, value));
        }
      },
      context.signal,
    );
    frames.push(merged);
  }
  return { outputs: [{ ...destination, frames } satisfies MaskBatch] };
});

const featherMask = declareNode('FeatherMask', async (inputs, context) => {
  const mask = readMask(inputs, 'mask');
  const { width, height } = mask;
  const reach = (name: string, side: number) => Math.min(readNumber(inputs, name), side);
  const [left, right] = [reach('left', width), reach('right', width)];
  const [top, bottom] = [reach('top', height), reach('bottom', height)];
  // As ComfyUI, whose right and bottom edges begin a step later and leave their first step to the left and top.
  const share = (place: number, size: number, near: number, far: number) => {
    const rising = place < near ? (place + 1) / near : 1;
    const step = place === 0 ? 0 : size - place;
    return step < far ? (rising * (step + 1)) / far : rising;
  };
  const frames = await makeFrames(mask.frames, width * height, context, (frame, feathered) =>
    inRows(
      mask,
      (y) => {
        const down = share(y, height, top, bottom);
        for (let x = 0; x < width; x += 1) {
          const at = y * width + x;
          feathered[at] = (frame[at] ?? 0) * down * share(x, width, left, right);
        }
      },
      context.signal,
    ),
  );
  return { outputs: [{ ...mask, frames } satisfies MaskBatch] };
});

/** Nodes that put pictures and masks together, or take them apart. */
export const composeNodes: readonly NodeDefinition[] = [
  padForOutpaint,
  joinAlpha,
  splitAlpha,
  stitch,
  rotate,
  maskComposite,
  featherMask,
];
