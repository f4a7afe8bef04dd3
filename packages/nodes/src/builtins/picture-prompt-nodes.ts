import { checkPixels } from '../image/create-image.ts';
import type { NodeDefinition } from '../node-definition.ts';
import { readImage, readMembers, readNumber, readText } from '../read-input.ts';
import type { Conditioning, Latent } from '../values.ts';
import { declareNode } from './declare-node.ts';
import { CELL, findCells, toCells } from './latent-cells.ts';
import { checkCells } from './latent-nodes.ts';

/** Starts from noise in the picture's size; the picture itself would go through the model. */
const instructPixToPix: NodeDefinition['run'] = (inputs) => {
  const picture = readImage(inputs, 'pixels');
  checkCells(picture);
  const { width, height } = findCells(picture);
  const frames = picture.frames.map(() => []);
  const latent: Latent = { kind: 'latent', width, height, frames, sketch: picture.sketch };
  return Promise.resolve({ outputs: [inputs.positive, inputs.negative, latent] });
};

const upscale4x: NodeDefinition['run'] = (inputs, context) => {
  const { width, height, frames } = readImage(inputs, 'images');
  const scale = readNumber(inputs, 'scale_ratio');
  const grow = (side: number) => Math.max(CELL, toCells(Math.round(side * scale)));
  const size = { width: grow(width), height: grow(height) };
  checkPixels(size.width, size.height, frames.length, context.maxPixels);
  const latent: Latent = { kind: 'latent', ...size, frames: frames.map(() => []) };
  return Promise.resolve({ outputs: [inputs.positive, inputs.negative, latent] });
};

/** Of its first picture's size where it names none. */
const encodeMageFlow: NodeDefinition['run'] = (inputs, context) => {
  const [picture] = readMembers(inputs, 'images').map((value) => readImage({ value }, 'value'));
  const side = (name: 'width' | 'height') => readNumber(inputs, name) || (picture?.[name] ?? 1024);
  const size = { width: toCells(side('width')), height: toCells(side('height')) };
  const count = readNumber(inputs, 'batch_size');
  checkPixels(size.width, size.height, count, context.maxPixels);
  const prompt = (name: string): Conditioning => ({
    kind: 'conditioning',
    text: readText(inputs, name),
  });
  const latent: Latent = {
    ...{ kind: 'latent', ...size, frames: Array.from({ length: count }, () => []) },
  };
  return Promise.resolve({ outputs: [prompt('prompt'), prompt('negative_prompt'), latent] });
};

/** Nodes whose pictures go through the model beside the prompt; all a sketch needs of them is a size. */
export const picturePromptNodes: readonly NodeDefinition[] = [
  declareNode('InstructPixToPixConditioning', instructPixToPix),
  declareNode('SD_4XUpscale_Conditioning', upscale4x),
  declareNode('TextEncodeMageFlowEdit', encodeMageFlow),
];
