import { randomInt } from 'node:crypto';
import type { NodeDefinition } from '../node-definition.ts';
import { animationNodes } from './animation-nodes.ts';
import { colourNodes } from './colour-nodes.ts';
import { composeNodes } from './compose-nodes.ts';
import { createFileNodes } from './file-nodes.ts';
import { filterNodes } from './filter-nodes.ts';
import { latentEditNodes } from './latent-edit-nodes.ts';
import { listNodes } from './list-nodes.ts';
import { morphologyNode } from './morphology-node.ts';
import { logicNodes, numberNodes, valueNodes } from './value-nodes.ts';
import { quantizeNode } from './quantize-node.ts';
import { resizeNodes } from './resize-nodes.ts';
import { createShowNodes } from './show-nodes.ts';
import { stringNodes, textNodes } from './text-nodes.ts';
import { emptyLatentNodes, latentNodes } from './latent-nodes.ts';
import { imageEditNodes } from './image-edit-nodes.ts';
import { imageNodes } from './image-nodes.ts';
import { inpaintNodes } from './inpaint-nodes.ts';
import { latentBatchNodes } from './latent-batch-nodes.ts';
import { maskNodes } from './mask-nodes.ts';
import { picturePromptNodes } from './picture-prompt-nodes.ts';
import { pictureSetNodes } from './picture-set-nodes.ts';
import { createModelSideNodes, touchesModel } from './model-side-nodes.ts';
import { samplerNodes } from './sampler-nodes.ts';
import { samplingPartNodes } from './sampling-part-nodes.ts';

const SUFFIX_LENGTH = 5;

function createSuffix(): string {
  return Array.from({ length: SUFFIX_LENGTH }, () => String.fromCharCode(97 + randomInt(26))).join(
    '',
  );
}

const fixedNodes: readonly NodeDefinition[] = [
  ...imageNodes,
  ...imageEditNodes,
  ...maskNodes,
  ...valueNodes,
  ...samplerNodes,
  ...samplingPartNodes,
  ...stringNodes,
  ...emptyLatentNodes,
  ...latentNodes,
  ...latentBatchNodes,
  ...inpaintNodes,
  ...picturePromptNodes,
  ...resizeNodes,
  ...composeNodes,
  ...filterNodes,
  quantizeNode,
  morphologyNode,
  ...colourNodes,
  ...listNodes,
  ...pictureSetNodes,
  ...animationNodes,
  ...latentEditNodes,
  ...numberNodes,
  ...textNodes,
  ...logicNodes,
];
const modelSideNodes = createModelSideNodes(
  new Set(fixedNodes.map(({ class_type }) => class_type)),
);

/** The built-in nodes. PreviewImage's file prefix is drawn once per call, as ComfyUI's once per process. */
export function createBuiltinNodes(previewSuffix = createSuffix()): NodeDefinition[] {
  return [
    ...createFileNodes(previewSuffix),
    ...createShowNodes(previewSuffix),
    ...fixedNodes,
    ...modelSideNodes,
  ];
}

/** Classes that a real backend serves better: here only the sketch generator stands behind them. */
export const sketchClasses: ReadonlySet<string> = new Set(
  [...fixedNodes, ...modelSideNodes].filter(touchesModel).map(({ class_type }) => class_type),
);
