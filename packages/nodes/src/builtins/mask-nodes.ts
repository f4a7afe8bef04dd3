import { createPacer, inSlices } from '@tiercel/pictures';
import { checkPixels } from '../image/create-image.ts';
import { makeFrames, mapSamples, SAMPLE_BYTES, type FrameWork } from '../image/frame-work.ts';
import { loadPicture } from '../image/load-picture.ts';
import { cropFrames } from '../image/scale-image.ts';
import type { NodeDefinition } from '../node-definition.ts';
import { readImage, readMask, readNumber, readText } from '../read-input.ts';
import type { ImageBatch, MaskBatch } from '../values.ts';
import { readFile } from './file-nodes.ts';
import { spreadMask } from './mask-pixels.ts';

const MODULE = 'comfy_extras.nodes_mask';
const MAX_SIDE = 16_384;
const CHANNELS = ['red', 'green', 'blue', 'alpha'] as const;
const side = (least: number) =>
  ['INT', { default: least === 0 ? 0 : 512, min: least, max: MAX_SIDE, step: 1 }] as const;

/** One channel of a picture; a picture without alpha has none of it. */
async function takeChannel(
  { width, height, channels, frames }: ImageBatch,
  name: string,
  work: FrameWork,
): Promise<MaskBatch> {
  const channel = CHANNELS.findIndex((candidate) => candidate === name);
  const taken = await makeFrames(frames, width * height, work, (frame, samples) =>
    inSlices(
      samples.length,
      (start, end) => {
        for (let i = start; i < end; i += 1) samples[i] = frame[i * channels + channel] ?? 0;
      },
      work.signal,
    ),
  );
  return { kind: 'mask', width, height, frames: taken };
}

const loadImageMask: NodeDefinition = {
  class_type: 'LoadImageMask',
  display_name: 'Load Image (as Mask)',
  category: 'mask',
  // The list of files belongs to whoever serves object_info: it changes with every upload.
  input: {
    required: {
      image: [[], { image_upload: true }],
      channel: [['alpha', 'red', 'green', 'blue']],
    },
  },
  output: ['MASK'],
  fingerprint: (inputs, context) => context.fingerprintInput(readText(inputs, 'image')),
  async run(inputs, context) {
    const file = await readFile(readText(inputs, 'image'), context);
    const { image, mask } = await loadPicture(file, context, { colourKey: true });
    const { width, height } = image;
    const first = { ...image, frames: image.frames.slice(0, 1) };
    const channel = readText(inputs, 'channel');
    if (channel !== 'alpha') return { outputs: [await takeChannel(first, channel, context)] };
    // What decoding gives for an opaque picture has a size of its own.
    const isOpaque = mask.width !== width || mask.height !== height;
    const frames = isOpaque ? [new Float32Array(width * height)] : mask.frames.slice(0, 1);
    return { outputs: [{ kind: 'mask', width, height, frames } satisfies MaskBatch] };
  },
};

const imageToMask: NodeDefinition = {
  class_type: 'ImageToMask',
  display_name: 'Convert Image to Mask',
  category: 'mask',
  python_module: MODULE,
  input: { required: { image: ['IMAGE'], channel: [CHANNELS] } },
  output: ['MASK'],
  async run(inputs, context) {
    const image = readImage(inputs, 'image');
    return { outputs: [await takeChannel(image, readText(inputs, 'channel'), context)] };
  },
};

const maskToImage: NodeDefinition = {
  class_type: 'MaskToImage',
  display_name: 'Convert Mask to Image',
  category: 'mask',
  python_module: MODULE,
  input: { required: { mask: ['MASK'] } },
  output: ['IMAGE'],
  async run(inputs, context) {
    const mask = readMask(inputs, 'mask');
    checkPixels(mask.width, mask.height, mask.frames.length, context.maxPixels);
    return { outputs: [await spreadMask(mask, context)] };
  },
};

/** A mask with each sample changed by itself. */
async function mapMask(
  mask: MaskBatch,
  work: FrameWork,
  change: (value: number) => number,
): Promise<MaskBatch> {
  return { ...mask, frames: await mapSamples(mask.frames, work, change) };
}

const invertMask: NodeDefinition = {
  class_type: 'InvertMask',
  category: 'mask',
  python_module: MODULE,
  input: { required: { mask: ['MASK'] } },
  output: ['MASK'],
  async run(inputs, context) {
    return { outputs: [await mapMask(readMask(inputs, 'mask'), context, (value) => 1 - value)] };
  },
};

const thresholdMask: NodeDefinition = {
  class_type: 'ThresholdMask',
  category: 'mask',
  python_module: MODULE,
  input: {
    required: {
      mask: ['MASK'],
      value: ['FLOAT', { default: 0.5, min: 0, max: 1, step: 0.01 }],
    },
  },
  output: ['MASK'],
  async run(inputs, context) {
    const limit = readNumber(inputs, 'value');
    const mask = readMask(inputs, 'mask');
    return { outputs: [await mapMask(mask, context, (value) => (value > limit ? 1 : 0))] };
  },
};

const cropMask: NodeDefinition = {
  class_type: 'CropMask',
  category: 'mask',
  python_module: MODULE,
  input: {
    required: { mask: ['MASK'], x: side(0), y: side(0), width: side(1), height: side(1) },
  },
  output: ['MASK'],
  async run(inputs, context) {
    const mask = readMask(inputs, 'mask');
    const x = Math.min(readNumber(inputs, 'x'), mask.width);
    const y = Math.min(readNumber(inputs, 'y'), mask.height);
    const width = Math.min(readNumber(inputs, 'width'), mask.width - x);
    const height = Math.min(readNumber(inputs, 'height'), mask.height - y);
    const frames = await cropFrames(mask, { x, y, width, height }, context);
    return { outputs: [{ ...mask, width, height, frames } satisfies MaskBatch] };
  },
};

const growMask: NodeDefinition = {
  class_type: 'GrowMask',
  category: 'mask',
  python_module: MODULE,
  input: {
    required: {
      mask: ['MASK'],
      expand: ['INT', { default: 0, min: -MAX_SIDE, max: MAX_SIDE, step: 1 }],
      tapered_corners: ['BOOLEAN', { default: true }],
    },
  },
  output: ['MASK'],
  async run(inputs, context) {
    const mask = readMask(inputs, 'mask');
    const expand = readNumber(inputs, 'expand');
    const how = { isTapered: inputs.tapered_corners !== false, isShrinking: expand < 0 };
    // Growing further than across changes nothing.
    const rounds = Math.min(Math.abs(expand), mask.width + mask.height);
    const frames: Float32Array[] = [];
    for (const frame of mask.frames) {
      await context.reserveMemory(frame.length * SAMPLE_BYTES * Math.min(2, rounds));
      frames.push(await grow({ ...mask, samples: frame }, rounds, how, context.signal));
    }
    return { outputs: [{ ...mask, frames } satisfies MaskBatch] };
  },
};

interface Growth {
  readonly isTapered: boolean;
  readonly isShrinking: boolean;
}

/** Round after round, until one changes nothing. Two frames take turns: inputs are never changed. */
async function grow(
  { width, height, samples }: { width: number; height: number; samples: Float32Array },
  rounds: number,
  how: Growth,
  signal: AbortSignal,
): Promise<Float32Array> {
  const pace = createPacer(signal);
  let from = samples;
  let spare: Float32Array | undefined;
  for (let round = 0; round < rounds; round += 1) {
    const to = spare ?? new Float32Array(samples.length);
    let hasChanged = false;
    for (let y = 0; y < height; y += 1) {
      if (growRow({ width, height, samples: from }, to, y, how)) hasChanged = true;
      const pause = pace();
      if (pause) await pause;
    }
    spare = from === samples ? undefined : from;
    from = to;
    if (!hasChanged) break;
  }
  return from;
}

/**
 * Each sample of a row becomes the greatest (or least) of those around it: all eight, or four when tapered.
 * @returns whether any is another one now
 */
function growRow(
  { width, height, samples }: { width: number; height: number; samples: Float32Array },
  grown: Float32Array,
  y: number,
  how: Growth,
): boolean {
  const pick = how.isShrinking ? Math.min : Math.max;
  let hasChanged = false;
  for (let x = 0; x < width; x += 1) {
    const own = samples[y * width + x] ?? 0;
    let best = own;
    for (let dy = -1; dy <= 1; dy += 1) {
      for (let dx = -1; dx <= 1; dx += 1) {
        if (how.isTapered && dx !== 0 && dy !== 0) continue;
        // What lies outside counts as its mirror image, so it adds nothing.
        const [nx, ny] = [x + dx, y + dy];
        if (nx < 0 || ny < 0 || nx >= width || ny >= height) continue;
        best = pick(best, samples[ny * width + nx] ?? 0);
      }
    }
    if (best !== own) hasChanged = true;
    grown[y * width + x] = best;
  }
  return hasChanged;
}

export const maskNodes: readonly NodeDefinition[] = [
  loadImageMask,
  imageToMask,
  maskToImage,
  invertMask,
  thresholdMask,
  cropMask,
  growMask,
];
