import { checkPixels } from '../image/create-image.ts';
import { type NodeDefinition, NodeError, type NodeInputs } from '../node-definition.ts';
import { readImage, readLatent, readMembers } from '../read-input.ts';
import type { ImageBatch, Latent } from '../values.ts';
import { declareNode } from './declare-node.ts';

/** Nodes whose inputs are whole lists: each comes as an array. */

/** The values of a list. */
export function readList(inputs: NodeInputs, name: string): readonly unknown[] {
  const value = inputs[name];
  return Array.isArray(value) ? (value as unknown[]) : [];
}

/** A setting of a node that takes lists: the first of its list. */
function readFirstNumber(inputs: NodeInputs, name: string): number {
  const [value] = readList(inputs, name);
  if (typeof value === 'number') return value;
  throw new NodeError(`Input "${name}" must be a number.`, { exceptionType: 'TypeError' });
}

/** Items in groups of at most so many. */
function group<T>(items: readonly T[], size: number): T[][] {
  const count = Math.ceil(items.length / size);
  return Array.from({ length: count }, (_, i) => items.slice(i * size, (i + 1) * size));
}

/** The pictures of all batches, in batches of another size. */
const rebatchImages = declareNode('RebatchImages', (inputs, context) => {
  const images = readList(inputs, 'images').map((value) => readImage({ value }, 'value'));
  const single = images.flatMap((image) =>
    image.frames.map((frame): ImageBatch => ({ ...image, frames: [frame] })),
  );
  const batches = group(single, readFirstNumber(inputs, 'batch_size')).map((pictures) => {
    const [first] = pictures as [ImageBatch, ...ImageBatch[]]; // groups are not empty
    const { width, height, channels } = first;
    const unlike = pictures.find(
      (it) => it.width !== width || it.height !== height || it.channels !== channels,
    );
    if (unlike) {
      throw new NodeError(
        `Pictures of unlike sizes cannot be one batch: ${width}x${height} with ${channels} channels, ` +
          `and ${unlike.width}x${unlike.height} with ${unlike.channels}.`,
      );
    }
    checkPixels(width, height, pictures.length, context.maxPixels);
    const sketch = pictures.find((it) => it.sketch)?.sketch;
    return { ...first, frames: pictures.flatMap(({ frames }) => frames), sketch };
  });
  return Promise.resolve({ outputs: [batches] });
});

/** The same for latents; where the size changes, a new batch begins. */
const rebatchLatents = declareNode('RebatchLatents', (inputs, context) => {
  const size = readFirstNumber(inputs, 'batch_size');
  const batches: Latent[] = [];
  for (const value of readList(inputs, 'latents')) {
    const latent = readLatent({ value }, 'value');
    const { width, height, mask, sketch } = latent;
    for (const [index, layers] of latent.frames.entries()) {
      const own = mask && { ...mask, frames: takeMask(mask.frames, index) };
      const last = batches.at(-1);
      const fits =
        last?.width === width &&
        last.height === height &&
        last.frames.length < size &&
        last.mask?.width === own?.width &&
        last.mask?.height === own?.height;
      if (!fits) {
        batches.push({ ...latent, frames: [layers], mask: own });
        continue;
      }
      const frames = [...last.frames, layers];
      checkPixels(width, height, frames.length, context.maxPixels);
      const joined = own && { ...own, frames: [...(last.mask?.frames ?? []), ...own.frames] };
      batches[batches.length - 1] = {
        ...last,
        frames,
        mask: joined,
        sketch: last.sketch ?? sketch,
      };
    }
  }
  return Promise.resolve({ outputs: [batches] });
});

function takeMask(frames: readonly Float32Array[], index: number): Float32Array[] {
  const frame = frames[index % frames.length];
  return frame ? [frame] : [];
}

/** What its inputs carry, one behind the other. */
const createList = declareNode('CreateList', (inputs) =>
  Promise.resolve({
    outputs: [
      readMembers(inputs, 'inputs').flatMap((values) =>
        Array.isArray(values) ? (values as unknown[]) : [],
      ),
    ],
  }),
);

const joinLists = (classType: string, input: string) =>
  declareNode(classType, (inputs) => Promise.resolve({ outputs: [readList(inputs, input)] }));

/** Nodes that make, cut and join lists. */
export const listNodes: readonly NodeDefinition[] = [
  rebatchImages,
  rebatchLatents,
  createList,
  joinLists('MergeImageLists', 'images'),
  joinLists('MergeTextLists', 'texts'),
];
