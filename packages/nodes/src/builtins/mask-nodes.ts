import { decodeImage } from '../image/decode.ts';
import { checkPixels } from '../image/create-image.ts';
import { cropPlane } from '../image/scale-image.ts';
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
function takeChannel({ width, height, channels, frames }: ImageBatch, name: string): MaskBatch {
  const channel = CHANNELS.findIndex((candidate) => candidate === name);
  const taken = frames.map((frame) => {
    const samples = new Float32Array(width * height);
    for (let i = 0; i < samples.length; i += 1) samples[i] = frame[i * channels + channel] ?? 0;
    return samples;
  });
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
    const { image, mask } = await decodeImage(file, context.maxPixels);
    const { width, height } = image;
    const first = { ...image, frames: image.frames.slice(0, 1) };
    const channel = readText(inputs, 'channel');
    if (channel !== 'alpha') return { outputs: [takeChannel(first, channel)] };
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
  run: (inputs) =>
    Promise.resolve({
      outputs: [takeChannel(readImage(inputs, 'image'), readText(inputs, 'channel'))],
    }),
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
    return { outputs: [await spreadMask(mask)] };
  },
};

/** A mask with each sample changed by itself. */
function mapMask(mask: MaskBatch, change: (value: number) => number): MaskBatch {
  return { ...mask, frames: mask.frames.map((frame) => frame.map(change)) };
}

const invertMask: NodeDefinition = {
  class_type: 'InvertMask',
  category: 'mask',
  python_module: MODULE,
  input: { required: { mask: ['MASK'] } },
  output: ['MASK'],
  run: (inputs) =>
    Promise.resolve({ outputs: [mapMask(readMask(inputs, 'mask'), (value) => 1 - value)] }),
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
  run(inputs) {
    const limit = readNumber(inputs, 'value');
    const mask = mapMask(readMask(inputs, 'mask'), (value) => (value > limit ? 1 : 0));
    return Promise.resolve({ outputs: [mask] });
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
  run(inputs) {
    const mask = readMask(inputs, 'mask');
    const x = Math.min(readNumber(inputs, 'x'), mask.width);
    const y = Math.min(readNumber(inputs, 'y'), mask.height);
    const width = Math.min(readNumber(inputs, 'width'), mask.width - x);
    const height = Math.min(readNumber(inputs, 'height'), mask.height - y);
    const frames = mask.frames.map(
      (samples) => cropPlane({ ...mask, channels: 1, samples }, { x, y, width, height }).samples,
    );
    return Promise.resolve({ outputs: [{ ...mask, width, height, frames } satisfies MaskBatch] });
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
    const frames: Float32Array[] = [];
    for (const frame of mask.frames) {
      let grown = frame;
      // Growing further than across changes nothing.
      const rounds = Math.min(Math.abs(expand), mask.width + mask.height);
      for (let round = 0; round < rounds; round += 1) {
        // A large mask takes long: others get their turn, and an interrupt is heard.
        await context.sleep(0);
        const isTapered = inputs.tapered_corners !== false;
        grown = growOnce({ ...mask, samples: grown }, { isTapered, isShrinking: expand < 0 });
      }
      frames.push(grown);
    }
    return { outputs: [{ ...mask, frames } satisfies MaskBatch] };
  },
};

/** Each sample becomes the greatest (or least) of those around it: all eight, or four when tapered. */
function growOnce(
  { width, height, samples }: { width: number; height: number; samples: Float32Array },
  how: { readonly isTapered: boolean; readonly isShrinking: boolean },
): Float32Array {
  const grown = new Float32Array(samples.length);
  const pick = how.isShrinking ? Math.min : Math.max;
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      let best = samples[y * width + x] ?? 0;
      for (let dy = -1; dy <= 1; dy += 1) {
        for (let dx = -1; dx <= 1; dx += 1) {
          if (how.isTapered && dx !== 0 && dy !== 0) continue;
          // What lies outside counts as its mirror image, so it adds nothing.
          const [nx, ny] = [x + dx, y + dy];
          if (nx < 0 || ny < 0 || nx >= width || ny >= height) continue;
          best = pick(best, samples[ny * width + nx] ?? 0);
        }
      }
      grown[y * width + x] = best;
    }
  }
  return grown;
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
