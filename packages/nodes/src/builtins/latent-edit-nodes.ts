import { inRows, inSlices } from '@tiercel/pictures';
import { checkPixels } from '../image/create-image.ts';
import { createFrame, mapSamples, type FrameWork } from '../image/frame-work.ts';
import { cropFrames, layFrame } from '../image/scale-image.ts';
import {
  type NodeContext,
  type NodeDefinition,
  NodeError,
  type NodeInputs,
  type NodeResult,
} from '../node-definition.ts';
import {
  readBoolean,
  readLatent,
  readMask,
  readMembers,
  readNumber,
  readText,
} from '../read-input.ts';
import { renderLatent } from '../sketch/render-latent.ts';
import type { ImageBatch, Latent } from '../values.ts';
import { rotateImage } from './compose-nodes.ts';
import { declareNode } from './declare-node.ts';
import { compositeImages, flipImage } from './image-edit-nodes.ts';
import { stretchMask } from './mask-pixels.ts';
import { encodeImage } from './latent-nodes.ts';
import { CELL, toCells } from './latent-cells.ts';

/**
 * Latents here are layers of paint, not samples: what ComfyUI does with the samples is done with the picture
 * that they come to.
 */
async function toPicture(latent: Latent, work: FrameWork): Promise<ImageBatch> {
  const { width, height, frames, sketch } = latent;
  const rendered: Float32Array[] = [];
  for (const layers of frames) rendered.push(await renderLatent(layers, { width, height }, work));
  return { kind: 'image', width, height, channels: 3, frames: rendered, sketch };
}

/** A node that changes one latent by the picture it holds. */
function editLatent(
  classType: string,
  edit: (picture: ImageBatch, inputs: NodeInputs, work: FrameWork) => Promise<ImageBatch>,
): NodeDefinition {
  return declareNode(classType, async (inputs, context) => {
    const picture = await toPicture(readLatent(inputs, 'samples'), context);
    return { outputs: [await encodeImage(await edit(picture, inputs, context), context)] };
  });
}

async function crop(
  picture: ImageBatch,
  box: { x: number; y: number; width: number; height: number },
  work: FrameWork,
): Promise<ImageBatch> {
  const frames = await cropFrames(picture, box, work);
  return { ...picture, width: box.width, height: box.height, frames };
}

const latentCrop = editLatent('LatentCrop', (picture, inputs, work) => {
  const cells = (name: string) => toCells(readNumber(inputs, name));
  const x = Math.min(cells('x'), picture.width - CELL);
  const y = Math.min(cells('y'), picture.height - CELL);
  const width = Math.min(cells('width'), picture.width - x);
  const height = Math.min(cells('height'), picture.height - y);
  return crop(picture, { x, y, width, height }, work);
});

/** Along x and y in cells of eight pixels, along t from picture to picture. */
const latentCut = declareNode('LatentCut', async (inputs, context) => {
  const latent = readLatent(inputs, 'samples');
  const dim = readText(inputs, 'dim');
  const unit = dim === 't' ? 1 : CELL;
  const size = dim === 't' ? latent.frames.length : dim === 'x' ? latent.width : latent.height;
  const [from, amount] = clampCut(inputs, size / unit);
  if (dim === 't') {
    const frames = latent.frames.slice(from, from + amount);
    return { outputs: [{ ...latent, frames, mask: undefined } satisfies Latent] };
  }
  const picture = await toPicture(latent, context);
  const box = { x: 0, y: 0, width: picture.width, height: picture.height };
  const cut = { at: from * CELL, length: amount * CELL };
  const part =
    dim === 'x'
      ? { ...box, x: cut.at, width: cut.length }
      : { ...box, y: cut.at, height: cut.length };
  return { outputs: [await encodeImage(await crop(picture, part, context), context)] };
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
  const picture = await toPicture(latent, context);
  const side = dim === 'x' ? picture.width : picture.height;
  const slice = Math.min(readNumber(inputs, 'slice_size') * CELL, side);
  const count = Math.floor(side / slice);
  const size =
    dim === 'x'
      ? { width: slice, height: picture.height }
      : { width: picture.width, height: slice };
  checkPixels(size.width, size.height, count * picture.frames.length, context.maxPixels);
  const parts: ImageBatch[] = [];
  for (let i = 0; i < count; i += 1) {
    const at = dim === 'x' ? { x: i * slice, y: 0 } : { x: 0, y: i * slice };
    parts.push(await crop(picture, { ...at, ...size }, context));
  }
  const frames = picture.frames.flatMap((_, index) =>
    parts.map((part) => part.frames[index] ?? new Float32Array()),
  );
  return { outputs: [await encodeImage({ ...picture, ...size, frames }, context)] };
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

/** What a latent of zeros is a picture of. */
const GREY = 0.5;

/** @param mix one sample of each; the second latent is brought to the size of the first */
function mixLatents(
  classType: string,
  mix: (first: number, second: number, inputs: NodeInputs) => number,
): NodeDefinition {
  return declareNode(classType, async (inputs, context) => {
    const first = await toPicture(readLatent(inputs, 'samples1'), context);
    const { width, height } = first;
    const second = await toPicture({ ...readLatent(inputs, 'samples2'), width, height }, context);
    const frames: Float32Array[] = [];
    for (const [index, frame] of first.frames.entries()) {
      const other = second.frames[index % second.frames.length];
      const mixed = await createFrame(frame.length, context);
      await inSlices(
        frame.length,
        (start, end) => {
          for (let i = start; i < end; i += 1) {
            mixed[i] = mix(frame[i] ?? 0, other?.[i] ?? 0, inputs);
          }
        },
        context.signal,
      );
      frames.push(mixed);
    }
    const sketch = first.sketch ?? second.sketch;
    return { outputs: [await encodeImage({ ...first, frames, sketch }, context)] };
  });
}

/** @param input the share of the first */
function blendLatents(classType: string, input: string): NodeDefinition {
  return mixLatents(classType, (first, second, inputs) => {
    const share = readNumber(inputs, input);
    return first * share + second * (1 - share);
  });
}

/** Beside one another along x or y, along t one behind the other; with a minus the second comes first. */
const latentConcat = declareNode('LatentConcat', async (inputs, context) => {
  const dim = readText(inputs, 'dim');
  const pair = [readLatent(inputs, 'samples1'), readLatent(inputs, 'samples2')] as const;
  const [first, second] = dim.startsWith('-') ? ([pair[1], pair[0]] as const) : pair;
  if (dim.endsWith('t')) return joinLatents([first, second], context);
  // The side along which they meet is that of samples1.
  const isAcross = dim.endsWith('x');
  const [{ width, height }] = pair;
  const [a, b] = [
    await toPicture(isAcross ? { ...first, height } : { ...first, width }, context),
    await toPicture(isAcross ? { ...second, height } : { ...second, width }, context),
  ];
  const size = isAcross
    ? { width: a.width + b.width, height }
    : { width, height: a.height + b.height };
  const count = Math.max(a.frames.length, b.frames.length);
  checkPixels(size.width, size.height, count, context.maxPixels);
  const frames: Float32Array[] = [];
  for (let index = 0; index < count; index += 1) {
    const samples = await createFrame(size.width * size.height * 3, context);
    const ground = { ...size, channels: 3, samples };
    const lay = (picture: ImageBatch, left: number, top: number) =>
      layFrame(
        ground,
        { ...picture, samples: picture.frames[index % picture.frames.length] ?? samples },
        { left, top },
        context.signal,
      );
    await lay(a, 0, 0);
    await lay(b, isAcross ? a.width : 0, isAcross ? 0 : a.height);
    frames.push(samples);
  }
  const sketch = a.sketch ?? b.sketch;
  return { outputs: [await encodeImage({ ...a, ...size, frames, sketch }, context)] };
});

const latentCompositeMasked = declareNode('LatentCompositeMasked', async (inputs, context) => {
  const destination = await toPicture(readLatent(inputs, 'destination'), context);
  const { width, height } = destination;
  const given = readLatent(inputs, 'source');
  const size = readBoolean(inputs, 'resize_source') ? { width, height } : {};
  const source = await toPicture({ ...given, ...size }, context);
  const masks =
    inputs.mask === undefined
      ? undefined
      : await stretchMask(readMask(inputs, 'mask'), source, context);
  const at = {
    left: Math.min(toCells(readNumber(inputs, 'x')), width),
    top: Math.min(toCells(readNumber(inputs, 'y')), height),
  };
  const picture = await compositeImages({ destination, source, masks, at }, context);
  return { outputs: [await encodeImage(picture, context)] };
});

/** One picture laid into another, its edges fading over `feather` pixels where they lie inside. */
const latentComposite = declareNode('LatentComposite', async (inputs, context) => {
  const to = await toPicture(readLatent(inputs, 'samples_to'), context);
  const from = await toPicture(readLatent(inputs, 'samples_from'), context);
  const [left, top] = [toCells(readNumber(inputs, 'x')), toCells(readNumber(inputs, 'y'))];
  const feather = toCells(readNumber(inputs, 'feather'));
  const right = Math.min(to.width, left + from.width);
  const bottom = Math.min(to.height, top + from.height);
  const rise = (distance: number, isInside: boolean) =>
    isInside && distance < feather ? (distance + 1) / feather : 1;
  const frames: Float32Array[] = [];
  for (const [index, frame] of to.frames.entries()) {
    const over = from.frames[index % from.frames.length];
    const stride = to.width * 3;
    const result = await createFrame(frame.length, context);
    await inRows(
      to,
      (y) => {
        result.set(frame.subarray(y * stride, (y + 1) * stride), y * stride);
        const row = y - top;
        if (row < 0 || y >= bottom) return;
        const down = rise(row, top !== 0) * rise(bottom - 1 - y, bottom < to.height);
        for (let x = left; x < right; x += 1) {
          const share = down * rise(x - left, left !== 0) * rise(right - 1 - x, right < to.width);
          const at = y * stride + x * 3;
          const source = (row * from.width + x - left) * 3;
          for (let c = 0; c < 3; c += 1) {
            result[at + c] = share * (over?.[source + c] ?? 0) + (1 - share) * (frame[at + c] ?? 0);
          }
        }
      },
      context.signal,
    );
    frames.push(result);
  }
  const sketch = to.sketch ?? from.sketch;
  return { outputs: [await encodeImage({ ...to, frames, sketch }, context)] };
});

const multiply = editLatent('LatentMultiply', async (picture, inputs, work) => {
  const factor = readNumber(inputs, 'multiplier');
  const change = (sample: number) => (sample - GREY) * factor + GREY;
  return { ...picture, frames: await mapSamples(picture.frames, work, change) };
});

const passLatent: NodeDefinition['run'] = (inputs) =>
  Promise.resolve({ outputs: [readLatent(inputs, 'samples')] });

/** Nodes that change latents. */
export const latentEditNodes: readonly NodeDefinition[] = [
  editLatent('LatentFlip', (picture, inputs, work) =>
    flipImage(picture, readText(inputs, 'flip_method'), work),
  ),
  editLatent('LatentRotate', (picture, inputs, work) =>
    rotateImage(picture, readText(inputs, 'rotation'), work),
  ),
  latentCrop,
  latentCut,
  latentCutToBatch,
  latentBatch,
  batchLatents,
  latentComposite,
  latentConcat,
  latentCompositeMasked,
  blendLatents('LatentBlend', 'blend_factor'),
  blendLatents('LatentInterpolate', 'ratio'),
  // Sums and differences of samples: those of pictures, seen from grey.
  mixLatents('LatentAdd', (first, second) => first + second - GREY),
  mixLatents('LatentSubtract', (first, second) => first - second + GREY),
  multiply,
  declareNode('LatentApplyOperation', passLatent),
  // The sketch sampler begins with noise of its own.
  declareNode('AddNoise', (inputs) =>
    Promise.resolve({ outputs: [readLatent(inputs, 'latent_image')] }),
  ),
  // Each picture of a batch has its own place in the seed's noise here.
  declareNode('LatentBatchSeedBehavior', passLatent),
];
