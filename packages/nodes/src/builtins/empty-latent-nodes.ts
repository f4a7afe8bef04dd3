import { checkPixels } from '../image/create-image.ts';
import type { NodeDefinition } from '../node-definition.ts';
import { readNumber } from '../read-input.ts';
import type { Latent } from '../values.ts';
import { declareNode } from './declare-node.ts';
import { CELL, toCells } from './latent-cells.ts';

/** @param cell pixels a side of one value of the latent */
function createEmptyLatent(classType: string, cell: number): NodeDefinition {
  return declareNode(classType, (inputs, context) => {
    const width = toCells(readNumber(inputs, 'width'), cell);
    const height = toCells(readNumber(inputs, 'height'), cell);
    const count = readNumber(inputs, 'batch_size');
    checkPixels(width, height, count, context.maxPixels);
    const frames = Array.from({ length: count }, () => []);
    const latent: Latent = { kind: 'latent', width, height, frames };
    return Promise.resolve({ outputs: [latent] });
  });
}

export const emptyLatentNodes: readonly NodeDefinition[] = [
  createEmptyLatent('EmptyLatentImage', CELL),
  createEmptyLatent('EmptySD3LatentImage', CELL),
  createEmptyLatent('EmptyHunyuanImageLatent', 32),
  createEmptyLatent('EmptyChromaRadianceLatentImage', 1),
];
