import { checkPixels } from '../image/create-image.ts';
import { type NodeDefinition, NodeError } from '../node-definition.ts';
import { roundHalfEven } from '../image/scale-image.ts';
import { readLatent, readNumber, readText } from '../read-input.ts';
import type { Latent, MaskBatch } from '../values.ts';
import { declareNode } from './declare-node.ts';
import { CELL, toCells } from './latent-cells.ts';

const MIN_UPSCALED_SIDE = 64;

const repeatLatentBatch = declareNode('RepeatLatentBatch', (inputs, context) => {
  const latent = readLatent(inputs, 'samples');
  const amount = readNumber(inputs, 'amount');
  checkPixels(latent.width, latent.height, latent.frames.length * amount, context.maxPixels);
  const frames = Array.from({ length: amount }, () => latent.frames).flat();
  const mask = latent.mask && fillBatch(latent.mask, latent.frames.length);
  const repeated = mask && {
    ...mask,
    frames: Array.from({ length: amount }, () => mask.frames).flat(),
  };
  return Promise.resolve({ outputs: [{ ...latent, frames, mask: repeated } satisfies Latent] });
});

const latentFromBatch = declareNode('LatentFromBatch', (inputs) => {
  const latent = readLatent(inputs, 'samples');
  const from = Math.min(latent.frames.length - 1, readNumber(inputs, 'batch_index'));
  const to = from + readNumber(inputs, 'length');
  const frames = latent.frames.slice(from, to);
  const mask = latent.mask && fillBatch(latent.mask, latent.frames.length);
  const taken = mask && { ...mask, frames: mask.frames.slice(from, to) };
  return Promise.resolve({ outputs: [{ ...latent, frames, mask: taken } satisfies Latent] });
});

/** One mask for each picture: a shorter batch of masks repeats, as in ComfyUI. */
function fillBatch(mask: MaskBatch, count: number): MaskBatch {
  if (mask.frames.length === 0) return mask;
  const frames: Float32Array[] = [];
  while (frames.length < count) frames.push(...mask.frames.slice(0, count - frames.length));
  return { ...mask, frames };
}

// Layers have no size of their own: a larger latent is painted larger. Crop and method change nothing here.
const latentUpscale = declareNode('LatentUpscale', (inputs, context) => {
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
  return Promise.resolve({ outputs: [{ ...latent, width, height } satisfies Latent] });
});

const latentUpscaleBy = declareNode('LatentUpscaleBy', (inputs, context) => {
  const latent = readLatent(inputs, 'samples');
  readText(inputs, 'upscale_method');
  const scale = readNumber(inputs, 'scale_by');
  const width = roundHalfEven((latent.width / CELL) * scale) * CELL;
  const height = roundHalfEven((latent.height / CELL) * scale) * CELL;
  if (width < 1 || height < 1) {
    throw new NodeError(`The scaled latent would be ${width}x${height}.`, {
      exceptionType: 'ValueError',
    });
  }
  checkPixels(width, height, latent.frames.length, context.maxPixels);
  return Promise.resolve({ outputs: [{ ...latent, width, height } satisfies Latent] });
});

/** Nodes that take, repeat and enlarge latents. */
export const latentBatchNodes: readonly NodeDefinition[] = [
  repeatLatentBatch,
  latentFromBatch,
  latentUpscale,
  latentUpscaleBy,
];
