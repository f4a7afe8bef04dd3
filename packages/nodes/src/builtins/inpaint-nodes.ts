import { interpolate, type Plane } from '../image/interpolate.ts';
import { roundHalfEven } from '../image/scale-image.ts';
import type { NodeDefinition } from '../node-definition.ts';
import { readBoolean, readImage, readLatent, readMask, readNumber } from '../read-input.ts';
import type { ImageBatch, Latent, MaskBatch } from '../values.ts';
import { declareNode } from './declare-node.ts';
import { cropToCells } from './latent-cells.ts';
import { encodeImage } from './latent-nodes.ts';

/** A mask as large as the picture. */
async function stretchMask(mask: MaskBatch, { width, height }: ImageBatch): Promise<Plane[]> {
  const planes: Plane[] = [];
  for (const samples of mask.frames) {
    const plane = { width: mask.width, height: mask.height, channels: 1, samples };
    planes.push({
      width,
      height,
      channels: 1,
      samples: await interpolate(plane, width, height, 'bilinear'),
    });
  }
  return planes;
}

/** The picture with the masked part made grey, which says nothing about what shall come there. */
function blankMasked(image: ImageBatch, masks: readonly Plane[]): ImageBatch {
  const { channels } = image;
  const frames = image.frames.map((frame, index) => {
    const mask = masks[index % masks.length]?.samples;
    return mask ? frame.map((v, i) => (isSet(mask[Math.floor(i / channels)]) ? 0.5 : v)) : frame;
  });
  return { ...image, frames };
}

/** Whether Python's round() makes 1 of it. */
function isSet(value: number | undefined): boolean {
  return roundHalfEven(value ?? 0) > 0;
}

function toMaskBatch(planes: readonly Plane[]): MaskBatch {
  const [{ width, height } = { width: 1, height: 1 }] = planes;
  return { kind: 'mask', width, height, frames: planes.map(({ samples }) => samples) };
}

const encodeForInpaint: NodeDefinition['run'] = async (inputs) => {
  const image = readImage(inputs, 'pixels');
  const masks = await stretchMask(readMask(inputs, 'mask'), image);
  const reach = readNumber(inputs, 'grow_mask_by');
  const latent = encodeImage(blankMasked(image, masks));
  const grown = masks.map((mask) => growMask(cropToCells(mask), reach));
  return { outputs: [{ ...latent, mask: toMaskBatch(grown) } satisfies Latent] };
};

/**
 * The mask, rounded, and everything that a square of `reach` pixels around it touches. An even square
 * lies half a pixel towards the lower right, as ComfyUI's convolution has it.
 */
function growMask(mask: Plane, reach: number): Plane {
  const { width, height } = mask;
  const before = Math.max(0, Math.ceil((reach - 1) / 2));
  const after = Math.max(0, reach - 1 - before);
  const set = mask.samples.map((value) => (isSet(value) ? 1 : 0));
  const rows = spread(set, { count: height, stride: width, length: width, step: 1, before, after });
  const samples = spread(rows, {
    count: width,
    stride: 1,
    length: height,
    step: width,
    before,
    after,
  });
  return { ...mask, samples };
}

/** For each line of samples: 1 wherever a 1 lies from `before` places ahead to `after` places behind. */
function spread(
  samples: Float32Array,
  line: {
    count: number;
    stride: number;
    length: number;
    step: number;
    before: number;
    after: number;
  },
): Float32Array {
  const result = new Float32Array(samples.length);
  for (let index = 0; index < line.count; index += 1) {
    let reached = 0;
    for (let at = 0; at < line.length; at += 1) {
      if (samples[index * line.stride + at * line.step] !== 1) continue;
      const from = Math.max(reached, at - line.after);
      const to = Math.min(line.length - 1, at + line.before);
      for (let place = from; place <= to; place += 1) {
        result[index * line.stride + place * line.step] = 1;
      }
      reached = to + 1;
    }
  }
  return result;
}

const setNoiseMask: NodeDefinition['run'] = (inputs) => {
  const latent = readLatent(inputs, 'samples');
  const mask = readMask(inputs, 'mask');
  return Promise.resolve({ outputs: [{ ...latent, mask } satisfies Latent] });
};

/** The conditionings pass as they are: the sketch generator has no inpainting model to tell. */
const inpaintModelConditioning: NodeDefinition['run'] = async (inputs) => {
  const image = readImage(inputs, 'pixels');
  const masks = await stretchMask(readMask(inputs, 'mask'), image);
  const latent = encodeImage(image);
  const mask = readBoolean(inputs, 'noise_mask') ? toMaskBatch(masks.map(cropToCells)) : undefined;
  return { outputs: [inputs.positive, inputs.negative, { ...latent, mask } satisfies Latent] };
};

/** Nodes that say which part of a latent is to be painted. */
export const inpaintNodes: readonly NodeDefinition[] = [
  declareNode('VAEEncodeForInpaint', encodeForInpaint),
  declareNode('SetLatentNoiseMask', setNoiseMask),
  declareNode('InpaintModelConditioning', inpaintModelConditioning),
];
