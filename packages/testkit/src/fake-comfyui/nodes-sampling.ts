import { colourOf, makePreview, type Picture } from './pictures.ts';
import {
  NodeFailure,
  readKind,
  readNumber,
  readText,
  type NodeContext,
  type NodeValue,
  type RunNode,
} from './node-class.ts';

const PIXELS_PER_LATENT = 8;

function opaque(type: string, name: string): NodeValue {
  return { kind: 'opaque', type, name };
}

/** As the node of recordings 05 to 10: `steps` steps of `delay` seconds with a preview each. */
async function runSlowPreview(
  inputs: Readonly<Record<string, NodeValue | undefined>>,
  context: NodeContext,
): Promise<{ outputs: NodeValue[] }> {
  const steps = readNumber(inputs.steps);
  const preview = makePreview(context.settings.previewBytes);
  for (let step = 0; step < steps; step += 1) {
    if (step === readNumber(inputs.fail_at, -1)) {
      throw new NodeFailure('RuntimeError', 'sampler exploded');
    }
    await context.sleep(readNumber(inputs.delay) * 1000);
    await context.progress(step + 1, steps, preview);
  }
  return { outputs: [{ kind: 'image', pictures: [{ width: 64, height: 64, colour: 0 }] }] };
}

/** The default text-to-image workflow; the picture depends on the seed and nothing else. */
export const SAMPLING_NODES: Readonly<Record<string, RunNode>> = {
  SlowPreview: runSlowPreview,
  CheckpointLoaderSimple: async (inputs, context) => {
    const name = readText(inputs.ckpt_name);
    if (!context.useCheckpoint(name)) await context.sleep(context.settings.loadMs);
    return { outputs: ['MODEL', 'CLIP', 'VAE'].map((type) => opaque(type, name)) };
  },
  LoraLoader: (inputs) => ({
    outputs: ['MODEL', 'CLIP'].map((type) => opaque(type, readText(inputs.lora_name))),
  }),
  CLIPTextEncode: (inputs) => ({ outputs: [opaque('CONDITIONING', readText(inputs.text))] }),
  EmptyLatentImage: (inputs) => ({
    outputs: [
      {
        kind: 'latent',
        width: readNumber(inputs.width) / PIXELS_PER_LATENT,
        height: readNumber(inputs.height) / PIXELS_PER_LATENT,
        batch: readNumber(inputs.batch_size, 1),
        seed: '',
      },
    ],
  }),
  VAEEncode: (inputs) => {
    const { pictures } = readKind(inputs.pixels, 'image');
    const width = (pictures[0]?.width ?? 0) / PIXELS_PER_LATENT;
    const height = (pictures[0]?.height ?? 0) / PIXELS_PER_LATENT;
    return { outputs: [{ kind: 'latent', width, height, batch: pictures.length, seed: '' }] };
  },
  RepeatLatentBatch: (inputs) => {
    const latent = readKind(inputs.samples, 'latent');
    return { outputs: [{ ...latent, batch: latent.batch * readNumber(inputs.amount, 1) }] };
  },
  KSampler: async (inputs, context) => {
    const latent = readKind(inputs.latent_image, 'latent');
    const steps = readNumber(inputs.steps);
    // This server was started with a preview method; a prompt may ask for none.
    const isWanted = context.extraData.preview_method !== 'none';
    const preview = isWanted ? makePreview(context.settings.previewBytes) : undefined;
    for (let step = 1; step <= steps; step += 1) {
      await context.sleep(context.settings.stepMs);
      await context.progress(step, steps, preview);
    }
    return { outputs: [{ ...latent, seed: readText(inputs.seed) }] };
  },
  VAEDecode: (inputs) => {
    const { width, height, batch, seed } = readKind(inputs.samples, 'latent');
    const pictures = Array.from({ length: batch }, (_, index): Picture => {
      const colour = colourOf(`${seed} ${index}`);
      const sides = [width, height].map((side) => Math.floor(side * PIXELS_PER_LATENT));
      return { width: sides[0] ?? 0, height: sides[1] ?? 0, colour };
    });
    return { outputs: [{ kind: 'image', pictures }] };
  },
};
