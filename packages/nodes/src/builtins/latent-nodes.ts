import { checkPixels } from '../image/create-image.ts';
import type { NodeDefinition } from '../node-definition.ts';
import { NodeError } from '../node-error.ts';
import { readImage, readLatent } from '../read-input.ts';
import { renderLatent } from '../sketch/render-latent.ts';
import type { ImageBatch, Latent, LatentLayer } from '../values.ts';
import { declareNode } from './declare-node.ts';
import { cropToCells, toCells } from './latent-cells.ts';

const encode: NodeDefinition['run'] = (inputs) => {
  const image = readImage(inputs, 'pixels');
  return Promise.resolve({ outputs: [encodeImage(image)] });
};

/** A latent of a picture's pixels. @throws NodeError when it is smaller than a latent's cell */
export function encodeImage(image: ImageBatch): Latent {
  const width = toCells(image.width);
  const height = toCells(image.height);
  if (width === 0 || height === 0) {
    throw new NodeError(`A picture of ${image.width}x${image.height} is too small to encode.`, {
      exceptionType: 'ValueError',
    });
  }
  const frames = image.frames.map((frame) => [toPixelLayer(image, frame)]);
  return { kind: 'latent', width, height, frames, sketch: image.sketch };
}

/** A frame cut to whole cells, without alpha. */
function toPixelLayer(image: ImageBatch, frame: Float32Array): LatentLayer {
  const { width, height, samples } = cropToCells({ ...image, samples: frame });
  const rgb = image.channels === 3 ? samples : samples.filter((_, i) => i % 4 !== 3);
  return { kind: 'pixels', width, height, samples: rgb };
}

const decode: NodeDefinition['run'] = async (inputs, context) => {
  const { width, height, frames, sketch } = readLatent(inputs, 'samples');
  checkPixels(width, height, frames.length, context.maxPixels);
  const rendered: Float32Array[] = [];
  for (const layers of frames) {
    context.signal.throwIfAborted();
    rendered.push(await renderLatent(layers, width, height));
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
