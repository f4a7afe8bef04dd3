import { checkPixels } from '../image/create-image.ts';
import type { NodeContext, NodeDefinition, NodeInputs } from '../node-definition.ts';
import { readNumber } from '../read-input.ts';
import type { Latent } from '../values.ts';
import { declareNode } from './declare-node.ts';
import { CELL, toCells } from './latent-cells.ts';

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
