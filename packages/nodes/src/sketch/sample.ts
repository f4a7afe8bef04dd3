import { setImmediate } from 'node:timers/promises';
import { encodeJpeg } from '../image/create-image.ts';
import type { NodeContext } from '../node-definition.ts';
import type { Latent, LatentLayer, MaskBatch, MaskPlane, SketchRecipe } from '../values.ts';
import { createRandom } from './random.ts';
import { renderLatent } from './render-latent.ts';

const SKETCH_GENERATOR = 'tiercel-sketch/1';

/** Longest side of a preview in pixels; ComfyUI's limit is 512. */
const PREVIEW_SIDE = 256;
/** With more steps than this, only some of them send a preview. */
const MAX_PREVIEWS = 100;
/** Coats of paint kept under a new one; what lies deeper no longer shows. */
const MAX_LAYERS = 6;

/**
 * The sketch generator's sampler: `steps` steps from noise to a picture at preview size, each reported with a
 * JPEG preview of the first picture of the batch. The full size is rendered when the latent is decoded.
 */
export async function sampleSketch(
  latent: Latent,
  options: { recipe: Omit<SketchRecipe, 'index'>; denoise: number; context: NodeContext },
): Promise<Latent> {
  const { recipe, denoise, context } = options;
  if (denoise <= 0) return latent;
  const frames = latent.frames.map((layers, index): readonly LatentLayer[] => {
    const coat = { kind: 'recipe', recipe: { ...recipe, index }, weight: denoise } as const;
    if (latent.mask) {
      const mask = takeFrame(latent.mask, index);
      return [...keepVisible(layers), { ...coat, mask }];
    }
    return denoise >= 1 ? [coat] : [...keepVisible(layers), coat];
  });

  const scale = Math.min(1, PREVIEW_SIDE / Math.max(latent.width, latent.height));
  const width = Math.max(1, Math.round(latent.width * scale));
  const height = Math.max(1, Math.round(latent.height * scale));
  const target = await renderLatent(frames[0] ?? [], { width, height }, context);
  const start = { denoise, width, height, seed: recipe.seed };
  const state = await startState(latent, start, context);
  const stride = Math.ceil(recipe.steps / MAX_PREVIEWS);
  for (let step = 1; step <= recipe.steps; step += 1) {
    const share = 1 / (recipe.steps - step + 1);
    for (let i = 0; i < state.length; i += 1) {
      state[i] = (state[i] ?? 0) + ((target[i] ?? 0) - (state[i] ?? 0)) * share;
    }
    if (step % stride === 0 || step === recipe.steps) {
      const picture = { kind: 'image', width, height, channels: 3, frames: [state] } as const;
      context.progress(step, recipe.steps, {
        mediaType: 'image/jpeg',
        bytes: await encodeJpeg(picture, 80),
      });
    } else {
      context.progress(step, recipe.steps);
    }
    await setImmediate();
  }
  return { ...latent, frames, sketch: { generator: SKETCH_GENERATOR, seed: recipe.seed } };
}

/** The mask of one picture of a batch: a shorter batch of masks repeats, as in ComfyUI. */
function takeFrame({ width, height, frames }: MaskBatch, index: number): MaskPlane | undefined {
  const samples = frames[index % frames.length];
  return samples && { width, height, samples };
}

function keepVisible(layers: readonly LatentLayer[]): readonly LatentLayer[] {
  return [...layers.slice(0, 1), ...layers.slice(1).slice(-MAX_LAYERS)];
}

/** Noise, over the picture to start from when there is one. */
async function startState(
  latent: Latent,
  options: { denoise: number; width: number; height: number; seed: number | bigint },
  context: NodeContext,
): Promise<Float32Array> {
  const { denoise, width, height } = options;
  const random = createRandom(`noise ${String(options.seed)}`);
  const noise = new Float32Array(width * height * 3);
  for (let i = 0; i < noise.length; i += 1) noise[i] = random();
  if (denoise >= 1) return noise;
  const start = await renderLatent(latent.frames[0] ?? [], { width, height }, context);
  return noise.map((value, i) => value * denoise + (start[i] ?? 0) * (1 - denoise));
}
