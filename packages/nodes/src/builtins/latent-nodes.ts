import { inSlices } from '@tiercel/pictures';
import { checkPixels } from '../image/create-image.ts';
import { type FrameWork, SAMPLE_BYTES } from '../image/frame-work.ts';
import {
  type NodeContext,
  type NodeDefinition,
  NodeError,
  type NodeInputs,
} from '../node-definition.ts';
import { readImage, readLatent, readNumber } from '../read-input.ts';
import { renderLatent } from '../sketch/render-latent.ts';
import type { ImageBatch, Latent, LatentLayer } from '../values.ts';
import { declareNode } from './declare-node.ts';
import { CELL, cropToCells, findCells, toCells } from './latent-cells.ts';

/** @param cell pixels a side of one value of the latent */
function createEmptyLatent(classType: string, cell: number): NodeDefinition {
  return declareNode(classType, (inputs, context) =>
    Promise.resolve({
      outputs: [makeEmpty(inputs, context, { cell, count: readNumber(inputs, 'batch_size') })],
    }),
  );
}

function makeEmpty(
  inputs: NodeInputs,
  context: NodeContext,
  { cell, count }: { cell: number; count: number },
): Latent {
  const width = toCells(readNumber(inputs, 'width'), cell);
  const height = toCells(readNumber(inputs, 'height'), cell);
  checkPixels(width, height, count, context.maxPixels);
  return { kind: 'latent', width, height, frames: Array.from({ length: count }, () => []) };
}

/** A picture and its layers, one after the other: what LatentCut and VAEDecode take them for. */
const emptyLayers = declareNode('EmptyQwenImageLayeredLatentImage', (inputs, context) => {
  const pictures = readNumber(inputs, 'layers') + 1;
  const count = pictures * readNumber(inputs, 'batch_size');
  return Promise.resolve({ outputs: [makeEmpty(inputs, context, { cell: CELL, count })] });
});

/** One for each of its two stages; both come to the same picture. */
const emptyCascade = declareNode('StableCascade_EmptyLatentImage', (inputs, context) => {
  const count = readNumber(inputs, 'batch_size');
  const latent = makeEmpty(inputs, context, { cell: CELL, count });
  return Promise.resolve({ outputs: [latent, latent] });
});

export const emptyLatentNodes: readonly NodeDefinition[] = [
  createEmptyLatent('EmptyLatentImage', CELL),
  createEmptyLatent('EmptySD3LatentImage', CELL),
  createEmptyLatent('EmptyHunyuanImageLatent', 32),
  createEmptyLatent('EmptyChromaRadianceLatentImage', 1),
  createEmptyLatent('EmptyFlux2LatentImage', 16),
  createEmptyLatent('EmptyHiDreamO1LatentImage', 32),
  emptyLayers,
  emptyCascade,
];

const encode: NodeDefinition['run'] = async (inputs, context) => {
  const image = readImage(inputs, 'pixels');
  return { outputs: [await encodeImage(image, context)] };
};

/** @throws NodeError when a picture is smaller than a latent's cell */
export function checkCells({ width, height }: ImageBatch): void {
  if (toCells(width) > 0 && toCells(height) > 0) return;
  throw new NodeError(`A picture of ${width}x${height} is too small to encode.`, {
    exceptionType: 'ValueError',
  });
}

/**
 * A latent of a picture's pixels.
 * @throws NodeError when it is smaller than a latent's cell; MemoryLimitError; the reason of the signal
 */
export async function encodeImage(image: ImageBatch, work: FrameWork): Promise<Latent> {
  checkCells(image);
  const { width, height } = findCells(image);
  const layers = new Map<Float32Array, LatentLayer>(); // equal frames are often the same object
  for (const frame of new Set(image.frames)) {
    layers.set(frame, await toPixelLayer(image, frame, work));
  }
  const frames = image.frames.map((frame) => {
    const layer = layers.get(frame);
    return layer === undefined ? [] : [layer];
  });
  return { kind: 'latent', width, height, frames, sketch: image.sketch };
}

/** A frame cut to whole cells, without alpha. */
async function toPixelLayer(
  image: ImageBatch,
  frame: Float32Array,
  work: FrameWork,
): Promise<LatentLayer> {
  const { width, height, samples } = await cropToCells({ ...image, samples: frame }, work);
  if (image.channels === 3) return { kind: 'pixels', width, height, samples };
  const pixels = width * height;
  await work.reserveMemory(pixels * 3 * SAMPLE_BYTES);
  const rgb = new Float32Array(pixels * 3);
  await inSlices(
    pixels,
    (start, end) => {
      for (let i = start; i < end; i += 1) {
        for (let c = 0; c < 3; c += 1) rgb[i * 3 + c] = samples[i * 4 + c] ?? 0;
      }
    },
    work.signal,
  );
  return { kind: 'pixels', width, height, samples: rgb };
}

const decode: NodeDefinition['run'] = async (inputs, context) => {
  const { width, height, frames, sketch } = readLatent(inputs, 'samples');
  checkPixels(width, height, frames.length, context.maxPixels);
  const rendered: Float32Array[] = [];
  for (const layers of frames) {
    rendered.push(await renderLatent(layers, { width, height }, context));
  }
  const image: ImageBatch = {
    kind: 'image',
    width,
    height,
    channels: 3,
    frames: rendered,
    sketch,
  };
  return { outputs: [image] };
};

export const latentNodes: readonly NodeDefinition[] = [
  declareNode('VAEEncode', encode),
  declareNode('VAEEncodeTiled', encode),
  declareNode('VAEDecode', decode),
  declareNode('VAEDecodeTiled', decode),
];
