import { inSlices } from '@tiercel/pictures';
import { checkPixels } from '../image/create-image.ts';
import { SAMPLE_BYTES, type FrameWork } from '../image/frame-work.ts';
import type { NodeDefinition } from '../node-definition.ts';
import { NodeError } from '../node-error.ts';
import { readImage, readLatent } from '../read-input.ts';
import { renderLatent } from '../sketch/render-latent.ts';
import type { ImageBatch, Latent, LatentLayer } from '../values.ts';
import { declareNode } from './declare-node.ts';
import { cropToCells, findCells, toCells } from './latent-cells.ts';

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
