import { checkPixels } from '../image/create-image.ts';
import { cropPlane } from '../image/scale-image.ts';
import type { NodeContext, NodeDefinition, NodeInputs, NodeResult } from '../node-definition.ts';
import { NodeError } from '../node-error.ts';
import { readLatent, readMembers, readNumber, readText } from '../read-input.ts';
import { renderLatent } from '../sketch/render-latent.ts';
import type { ImageBatch, Latent } from '../values.ts';
import { rotateImage } from './compose-nodes.ts';
import { declareNode } from './declare-node.ts';
import { eachRow } from './each-row.ts';
import { flipImage } from './image-edit-nodes.ts';
import { encodeImage } from './latent-nodes.ts';
import { CELL, toCells } from './latent-cells.ts';

/**
 * Latents here are layers of paint, not samples: what ComfyUI does with the samples is done with the picture
 * that they come to.
 */
async function toPicture(latent: Latent): Promise<ImageBatch> {
  const { width, height, frames, sketch } = latent;
  const rendered: Float32Array[] = [];
  for (const layers of frames) rendered.push(await renderLatent(layers, width, height));
  return { kind: 'image', width, height, channels: 3, frames: rendered, sketch };
}

/** A node that changes one latent by the picture it holds. */
function editLatent(
  classType: string,
  edit: (picture: ImageBatch, inputs: NodeInputs) => ImageBatch | Promise<ImageBatch>,
): NodeDefinition {
  return declareNode(classType, async (inputs) => {
    const picture = await toPicture(readLatent(inputs, 'samples'));
    return { outputs: [encodeImage(await edit(picture, inputs))] };
  });
}

function crop(
  picture: ImageBatch,
  box: { x: number; y: number; width: number; height: number },
): ImageBatch {
  const frames = picture.frames.map((samples) => cropPlane({ ...picture, samples }, box).samples);
  return { ...picture, width: box.width, height: box.height, frames };
}

const latentCrop = editLatent('LatentCrop', (picture, inputs) => {
  const cells = (name: string) => toCells(readNumber(inputs, name));
  const x = Math.min(cells('x'), picture.width - CELL);
  const y = Math.min(cells('y'), picture.height - CELL);
  const width = Math.min(cells('width'), picture.width - x);
  const height = Math.min(cells('height'), picture.height - y);
  return crop(picture, { x, y, width, height });
});

/** Along x and y in cells of eight pixels, along t from picture to picture. */
const latentCut = declareNode('LatentCut', async (inputs) => {
  const latent = readLatent(inputs, 'samples');
  const dim = readText(inputs, 'dim');
  const unit = dim === 't' ? 1 : CELL;
  const size = dim === 't' ? latent.frames.length : dim === 'x' ? latent.width : latent.height;
  const [from, amount] = clampCut(inputs, size / unit);
  if (dim === 't') {
    const frames = latent.frames.slice(from, from + amount);
    return { outputs: [{ ...latent, frames, mask: undefined } satisfies Latent] };
  }
  const picture = await toPicture(latent);
  const box = { x: 0, y: 0, width: picture.width, height: picture.height };
  const cut = { at: from * CELL, length: amount * CELL };
  const part =
    dim === 'x'
      ? { ...box, x: cut.at, width: cut.length }
      : { ...box, y: cut.at, height: cut.length };
  return { outputs: [encodeImage(crop(picture, part))] };
});

/** From `index` on, counted from the end when negative; as much as there is. */
function clampCut(inputs: NodeInputs, size: number): readonly [from: number, amount: number] {
  const index = readNumber(inputs, 'index');
  const from = index >= 0 ? Math.min(index, size - 1) : Math.max(size + index, 0);
  return [from, Math.min(size - from, readNumber(inputs, 'amount'))];
}

/** Pictures that follow one another are a batch here already; slices of a side become pictures. */
const latentCutToBatch = declareNode('LatentCutToBatch', async (inputs, context) => {
  const latent = readLatent(inputs, 'samples');
  const dim = readText(inputs, 'dim');
  if (dim === 't') return { outputs: [latent] };
  const picture = await toPicture(latent);
  const side = dim === 'x' ? picture.width : picture.height;
  const slice = Math.min(readNumber(inputs, 'slice_size') * CELL, side);
  const count = Math.floor(side / slice);
  const size =
    dim === 'x'
      ? { width: slice, height: picture.height }
      : { width: picture.width, height: slice };
  checkPixels(size.width, size.height, count * picture.frames.length, context.maxPixels);
  const parts = Array.from({ length: count }, (_, i) =>
    crop(picture, { x: dim === 'x' ? i * slice : 0, y: dim === 'x' ? 0 : i * slice, ...size }),
  );
  const frames = picture.frames.flatMap((_, index) =>
    parts.map((part) => part.frames[index] ?? new Float32Array()),
  );
  return { outputs: [encodeImage({ ...picture, ...size, frames })] };
});

/** One batch of several, in the size of the first: a layer of paint takes any size. */
function joinLatents(latents: readonly Latent[], context: NodeContext): NodeResult {
  const [first] = latents;
  if (first === undefined)
    throw new NodeError('There is no latent.', { exceptionType: 'ValueError' });
  const frames = latents.flatMap((latent) => latent.frames);
  checkPixels(first.width, first.height, frames.length, context.maxPixels);
  const sketch = latents.find((latent) => latent.sketch)?.sketch;
  return { outputs: [{ ...first, frames, mask: undefined, sketch } satisfies Latent] };
}

const latentBatch = declareNode('LatentBatch', (inputs, context) =>
  Promise.resolve(
    joinLatents([readLatent(inputs, 'samples1'), readLatent(inputs, 'samples2')], context),
  ),
);

const batchLatents = declareNode('BatchLatentsNode', (inputs, context) => {
  const latents = readMembers(inputs, 'latents').map((value) => readLatent({ value }, 'value'));
  return Promise.resolve(joinLatents(latents, context));
});

/** @param input the share of the first; the second is brought to its size */
function mixLatents(classType: string, input: string): NodeDefinition {
  return declareNode(classType, async (inputs) => {
    const first = await toPicture(readLatent(inputs, 'samples1'));
    const { width, height } = first;
    const second = await toPicture({ ...readLatent(inputs, 'samples2'), width, height });
    const share = readNumber(inputs, input);
    const frames: Float32Array[] = [];
    for (const [index, frame] of first.frames.entries()) {
      const other = second.frames[index % second.frames.length];
      const mixed = new Float32Array(frame.length);
      const row = width * 3;
      await eachRow(height, (y) => {
        for (let i = y * row; i < (y + 1) * row; i += 1) {
          mixed[i] = (frame[i] ?? 0) * share + (other?.[i] ?? 0) * (1 - share);
        }
      });
      frames.push(mixed);
    }
    return { outputs: [encodeImage({ ...first, frames, sketch: first.sketch ?? second.sketch })] };
  });
}

/** One picture laid into another, its edges fading over `feather` pixels where they lie inside. */
const latentComposite = declareNode('LatentComposite', async (inputs) => {
  const to = await toPicture(readLatent(inputs, 'samples_to'));
  const from = await toPicture(readLatent(inputs, 'samples_from'));
  const [left, top] = [toCells(readNumber(inputs, 'x')), toCells(readNumber(inputs, 'y'))];
  const feather = toCells(readNumber(inputs, 'feather'));
  const right = Math.min(to.width, left + from.width);
  const bottom = Math.min(to.height, top + from.height);
  const rise = (distance: number, isInside: boolean) =>
    isInside && distance < feather ? (distance + 1) / feather : 1;
  const frames: Float32Array[] = [];
  for (const [index, frame] of to.frames.entries()) {
    const over = from.frames[index % from.frames.length];
    const result = frame.slice();
    await eachRow(Math.max(0, bottom - top), (row) => {
      const down = rise(row, top !== 0) * rise(bottom - top - 1 - row, bottom < to.height);
      for (let x = left; x < right; x += 1) {
        const share = down * rise(x - left, left !== 0) * rise(right - 1 - x, right < to.width);
        const at = ((top + row) * to.width + x) * 3;
        const source = (row * from.width + x - left) * 3;
        for (let c = 0; c < 3; c += 1) {
          result[at + c] = share * (over?.[source + c] ?? 0) + (1 - share) * (frame[at + c] ?? 0);
        }
      }
    });
    frames.push(result);
  }
  return { outputs: [encodeImage({ ...to, frames, sketch: to.sketch ?? from.sketch })] };
});

const passLatent: NodeDefinition['run'] = (inputs) =>
  Promise.resolve({ outputs: [readLatent(inputs, 'samples')] });

/** Nodes that change latents. */
export const latentEditNodes: readonly NodeDefinition[] = [
  editLatent('LatentFlip', (picture, inputs) =>
    flipImage(picture, readText(inputs, 'flip_method')),
  ),
  editLatent('LatentRotate', (picture, inputs) =>
    rotateImage(picture, readText(inputs, 'rotation')),
  ),
  latentCrop,
  latentCut,
  latentCutToBatch,
  latentBatch,
  batchLatents,
  latentComposite,
  mixLatents('LatentBlend', 'blend_factor'),
  mixLatents('LatentInterpolate', 'ratio'),
  // Each picture of a batch has its own place in the seed's noise here.
  declareNode('LatentBatchSeedBehavior', passLatent),
];
