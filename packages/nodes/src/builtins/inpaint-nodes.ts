import { inRows, type Plane } from '@tiercel/pictures';
import { SAMPLE_BYTES, type FrameWork } from '../image/frame-work.ts';
import { roundHalfEven } from '../image/scale-image.ts';
import type { NodeDefinition } from '../node-definition.ts';
import { readBoolean, readImage, readLatent, readMask, readNumber } from '../read-input.ts';
import type { ImageBatch, Latent, LatentLayer, MaskBatch } from '../values.ts';
import { declareNode } from './declare-node.ts';
import { cropToCells, findCells } from './latent-cells.ts';
import { checkCells, encodeImage } from './latent-nodes.ts';
import { stretchMask } from './mask-pixels.ts';

/** A mask as large as the picture, cut to whole cells with it. */
async function toPlanes(
  mask: MaskBatch,
  { width, height }: ImageBatch,
  work: FrameWork,
): Promise<Plane[]> {
  const planes: Plane[] = [];
  for (const samples of await stretchMask(mask, { width, height }, work)) {
    planes.push(await cropToCells({ width, height, channels: 1, samples }, work));
  }
  return planes;
}

/**
 * A latent of a picture whose masked part is grey, which says nothing about what shall come there.
 * @param masks cut to whole cells
 */
async function encodeBlanked(
  image: ImageBatch,
  masks: readonly Plane[],
  { reserveMemory, signal }: FrameWork,
): Promise<Latent> {
  checkCells(image);
  const cells = findCells(image);
  const { width, height } = cells;
  const frames: LatentLayer[][] = [];
  for (const [index, frame] of image.frames.entries()) {
    const mask = masks[index % masks.length]?.samples;
    await reserveMemory(width * height * 3 * SAMPLE_BYTES);
    const samples = new Float32Array(width * height * 3);
    await inRows(
      cells,
      (y) => {
        const row = (cells.y + y) * image.width + cells.x;
        for (let x = 0; x < width; x += 1) {
          const at = y * width + x;
          const isBlank = mask !== undefined && isSet(mask[at]);
          const from = (row + x) * image.channels;
          for (let c = 0; c < 3; c += 1)
            samples[at * 3 + c] = isBlank ? 0.5 : (frame[from + c] ?? 0);
        }
      },
      signal,
    );
    frames.push([{ kind: 'pixels', width, height, samples }]);
  }
  return { kind: 'latent', width, height, frames, sketch: image.sketch };
}

/** Whether Python's round() makes 1 of it. */
function isSet(value: number | undefined): boolean {
  return roundHalfEven(value ?? 0) > 0;
}

function toMaskBatch(planes: readonly Plane[]): MaskBatch {
  const [{ width, height } = { width: 1, height: 1 }] = planes;
  return { kind: 'mask', width, height, frames: planes.map(({ samples }) => samples) };
}

const encodeForInpaint: NodeDefinition['run'] = async (inputs, context) => {
  const image = readImage(inputs, 'pixels');
  const masks = await toPlanes(readMask(inputs, 'mask'), image, context);
  const reach = readNumber(inputs, 'grow_mask_by');
  const latent = await encodeBlanked(image, masks, context);
  const grown: Plane[] = [];
  for (const mask of masks) grown.push(await growMask(mask, reach, context));
  return { outputs: [{ ...latent, mask: toMaskBatch(grown) } satisfies Latent] };
};

/**
 * The mask, rounded, and everything that a square of `reach` pixels around it touches. An even square
 * lies half a pixel towards the lower right, as ComfyUI's convolution has it.
 */
async function growMask(mask: Plane, reach: number, work: FrameWork): Promise<Plane> {
  const { width, height } = mask;
  const before = Math.max(0, Math.ceil((reach - 1) / 2));
  const after = Math.max(0, reach - 1 - before);
  await work.reserveMemory(2 * mask.samples.length * SAMPLE_BYTES);
  const across = new Float32Array(mask.samples.length);
  const rows = { count: height, stride: width, length: width, step: 1, before, after };
  await spread(mask.samples, across, rows, work.signal);
  const samples = new Float32Array(mask.samples.length);
  const columns = { count: width, stride: 1, length: height, step: width, before, after };
  await spread(across, samples, columns, work.signal);
  return { ...mask, samples };
}

/** For each line of samples: 1 wherever a set one lies from `before` places ahead to `after` places behind. */
async function spread(
  samples: Float32Array,
  result: Float32Array,
  line: {
    count: number;
    stride: number;
    length: number;
    step: number;
    before: number;
    after: number;
  },
  signal: AbortSignal,
): Promise<void> {
  await inRows(
    { width: line.length, height: line.count },
    (index) => {
      let reached = 0;
      for (let at = 0; at < line.length; at += 1) {
        if (!isSet(samples[index * line.stride + at * line.step])) continue;
        const from = Math.max(reached, at - line.after);
        const to = Math.min(line.length - 1, at + line.before);
        for (let place = from; place <= to; place += 1) {
          result[index * line.stride + place * line.step] = 1;
        }
        reached = to + 1;
      }
    },
    signal,
  );
}

const setNoiseMask: NodeDefinition['run'] = (inputs) => {
  const latent = readLatent(inputs, 'samples');
  const mask = readMask(inputs, 'mask');
  return Promise.resolve({ outputs: [{ ...latent, mask } satisfies Latent] });
};

/** The conditionings pass as they are: the sketch generator has no inpainting model to tell. */
const inpaintModelConditioning: NodeDefinition['run'] = async (inputs, context) => {
  const image = readImage(inputs, 'pixels');
  const latent = await encodeImage(image, context);
  let mask: MaskBatch | undefined;
  if (readBoolean(inputs, 'noise_mask')) {
    mask = toMaskBatch(await toPlanes(readMask(inputs, 'mask'), image, context));
  }
  return { outputs: [inputs.positive, inputs.negative, { ...latent, mask } satisfies Latent] };
};

/** Nodes that say which part of a latent is to be painted. */
export const inpaintNodes: readonly NodeDefinition[] = [
  declareNode('VAEEncodeForInpaint', encodeForInpaint),
  declareNode('SetLatentNoiseMask', setNoiseMask),
  declareNode('InpaintModelConditioning', inpaintModelConditioning),
];
