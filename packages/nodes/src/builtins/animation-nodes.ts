import { animatedWebpBytes, encodeAnimatedWebp, streamAnimatedPng } from '@tiercel/pictures';
import type { NewOutput } from '@tiercel/contracts';
import type { NodeContext, NodeDefinition, NodeInputs, NodeResult } from '../node-definition.ts';
import { readBoolean, readImage, readNumber, readText } from '../read-input.ts';
import type { ImageBatch } from '../values.ts';
import { declareNode } from './declare-node.ts';
import { createTextChunks } from './file-nodes.ts';
import { fillPrefix, fingerprintPrefix } from './filename-prefix.ts';

/** Whole milliseconds, as both formats tell time. */
function readFrameMs(inputs: NodeInputs): number {
  return Math.max(1, Math.trunc(1000 / readNumber(inputs, 'fps')));
}

/** Stores one file of a whole batch, and shows it as an animation. */
async function saveAnimation(
  image: ImageBatch,
  file: Pick<NewOutput, 'extension' | 'bytes'>,
  { inputs, context }: { inputs: NodeInputs; context: NodeContext },
): Promise<NodeResult> {
  const prefix = fillPrefix(readText(inputs, 'filename_prefix'), context.promptText);
  const { width, height } = image;
  const saved = await context.saveOutput({ type: 'output', prefix, width, height, ...file });
  return { outputs: [image], ui: { images: [saved], animated: [true] } };
}

/** libwebp's method by the names of the node. */
const EFFORTS: Readonly<Record<string, number>> = { default: 4, fastest: 0, slowest: 6 };

const saveAnimatedWebp = declareNode(
  'SaveAnimatedWEBP',
  async (inputs, context) => {
    const image = readImage(inputs, 'images');
    await context.reserveMemory(animatedWebpBytes(image));
    const bytes = await encodeAnimatedWebp(image, {
      frameMs: readFrameMs(inputs),
      lossless: readBoolean(inputs, 'lossless'),
      quality: readNumber(inputs, 'quality'),
      effort: EFFORTS[readText(inputs, 'method')] ?? 4,
      texts: createTextChunks(context, image.sketch),
      signal: context.signal,
    });
    return saveAnimation(image, { extension: '.webp', bytes }, { inputs, context });
  },
  { fingerprint: fingerprintPrefix },
);

const saveAnimatedPng = declareNode(
  'SaveAnimatedPNG',
  async (inputs, context) => {
    const image = readImage(inputs, 'images');
    // One frame as a file, at worst as large as its bytes, and its parts.
    await context.reserveMemory(2 * image.width * image.height * image.channels);
    const bytes = streamAnimatedPng(image, {
      frameMs: readFrameMs(inputs),
      level: readNumber(inputs, 'compress_level'),
      texts: createTextChunks(context, image.sketch),
      signal: context.signal,
    });
    return saveAnimation(image, { extension: '.png', bytes }, { inputs, context });
  },
  { fingerprint: fingerprintPrefix },
);

/** Nodes that save a batch as one moving picture. */
export const animationNodes: readonly NodeDefinition[] = [saveAnimatedWebp, saveAnimatedPng];
