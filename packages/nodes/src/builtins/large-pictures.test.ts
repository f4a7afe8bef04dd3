import { describe, expect, test } from '@jest/globals';
import type { InputSpec } from '@tiercel/contracts';
import { collectBuffers } from '../executor/walk-value.ts';
import type { NodeContext, NodeDefinition, NodeInputs, NodeResult } from '../node-definition.ts';
import type { ImageBatch, Latent, MaskBatch } from '../values.ts';
import { createBuiltinNodes } from './create-builtin-nodes.ts';

/** Whatever built-in node makes samples, a new one too: memory is counted, and an interrupt is heard. */

const [WIDTH, HEIGHT] = [48, 32];
/** Two different frames of noise, so that no node finds nothing to do. */
const noise = (length: number) =>
  [1, 2].map((seed) => Float32Array.from({ length }, (_, i) => ((i * 7919 * seed) % 97) / 96));
const size = { width: WIDTH, height: HEIGHT };
const image = (channels: 3 | 4): ImageBatch => ({
  ...{ kind: 'image', ...size, channels, frames: noise(WIDTH * HEIGHT * channels) },
});
const mask: MaskBatch = { kind: 'mask', ...size, frames: noise(WIDTH * HEIGHT) };
/** Not as large as what was painted into it. */
const latent: Latent = {
  ...{ kind: 'latent', width: 2 * WIDTH, height: HEIGHT },
  frames: noise(WIDTH * HEIGHT * 3).map((samples) => [{ kind: 'pixels', ...size, samples }]),
};
const VALUES: Readonly<Record<string, unknown>> = {
  ...{ IMAGE: image(3), MASK: mask, LATENT: latent, BOOLEAN: true },
  VAE: { kind: 'vae', name: 'sketch' },
};
/** Where the default changes nothing, or means nothing. */
const CHOSEN: Readonly<Record<string, unknown>> = {
  ...{ width: 24, height: 16, x: 8, y: 8, scale_by: 0.5, megapixels: 0.001, largest_size: 24 },
  ...{ rotation: '90 degrees', expand: 2, left: 8, grow_mask_by: 4, amount: 1, low_threshold: 0.1 },
  ...{
    target_width: 64,
    target_height: 64,
    index: 1,
    dim: 'x',
    batch_size: 1,
    filename_prefix: 'p',
  },
};

function choose(name: string, [type, options]: InputSpec): unknown {
  if (name in CHOSEN) return CHOSEN[name];
  if (Array.isArray(type)) return type[0];
  if (typeof type === 'string' && type in VALUES) return VALUES[type];
  const { default: value, options: choices } = (options ?? {}) as {
    default?: unknown;
    options?: unknown[];
  };
  return value ?? choices?.[0];
}

/** Inputs that grow, or depend on another one. */
const DYNAMIC: Readonly<Record<string, NodeInputs>> = {
  BatchImagesNode: { 'images.image0': image(3), 'images.image1': image(4) },
  BatchMasksNode: { 'masks.mask0': mask, 'masks.mask1': { ...mask, width: HEIGHT, height: WIDTH } },
  ResizeImageMaskNode: {
    ...{ input: mask, resize_type: 'scale by multiplier', 'resize_type.multiplier': 2 },
    scale_method: 'bicubic',
  },
};

/** Inputs of a node, with a picture of so many channels as its first. */
function fill({ class_type, input }: NodeDefinition, channels: 3 | 4): NodeInputs {
  const entries = Object.entries({ ...input.required, ...input.optional });
  const given = entries.map(([name, spec]) => [name, choose(name, spec)] as const);
  const first = entries.find(([, [type]]) => type === 'IMAGE')?.[0];
  return {
    ...Object.fromEntries(given),
    ...(first !== undefined && { [first]: image(channels) }),
    ...DYNAMIC[class_type],
  };
}

interface Outcome {
  readonly result?: NodeResult;
  readonly error?: unknown;
  readonly reservedBytes: number;
}

async function run(
  definition: NodeDefinition,
  inputs: NodeInputs,
  signal = new AbortController().signal,
): Promise<Outcome> {
  let reservedBytes = 0;
  const context = {
    ...{ nodeId: 'x', promptId: 'p', promptText: '{}', extraPnginfo: undefined, signal },
    maxPixels: 10_000_000,
    reserveMemory: (bytes: number) => {
      reservedBytes += bytes;
      return Promise.resolve();
    },
    progress: () => undefined,
    sendPicture: () => Promise.resolve(),
    saveOutput: () => Promise.resolve({ filename: 'a.png', subfolder: '', type: 'output' }),
    readInput: () => Promise.reject(new Error('there are no files')),
    sleep: () => Promise.resolve(),
  } as NodeContext;
  try {
    return { result: await definition.run(inputs, context), reservedBytes };
  } catch (error) {
    return { error, reservedBytes };
  }
}

const countBytes = (buffers: Iterable<ArrayBufferLike>) =>
  [...buffers].reduce((sum, { byteLength }) => sum + byteLength, 0);

/** Every built-in node that makes samples of the inputs at hand, and how many bytes of them. */
async function findMakers() {
  const makers: { name: string; definition: NodeDefinition; inputs: NodeInputs; made: number }[] =
    [];
  for (const definition of createBuiltinNodes('abcde')) {
    for (const channels of [3, 4] as const) {
      const inputs = fill(definition, channels);
      const { result } = await run(definition, inputs);
      const own = new Set(collectBuffers(inputs));
      const made = countBytes(collectBuffers(result?.outputs).filter((it) => !own.has(it)));
      const name = `${definition.class_type} (${channels} channels)`;
      if (made > 0) makers.push({ name, definition, inputs, made });
    }
  }
  return makers;
}
const makers = await findMakers();

test('the nodes that make samples are found', () => {
  expect(makers.length).toBeGreaterThan(70);
});

describe('a node that makes pictures', () => {
  test.each(makers.map((maker) => [maker.name, maker] as const))(
    '%s asks for their memory',
    async (_, { definition, inputs, made }) => {
      expect((await run(definition, inputs)).reservedBytes).toBeGreaterThanOrEqual(made);
    },
  );
  test.each(makers.map((maker) => [maker.name, maker] as const))(
    '%s ends when its job was stopped',
    async (_, { definition, inputs }) => {
      const reason = new Error('stopped');
      expect(await run(definition, inputs, AbortSignal.abort(reason))).toMatchObject({
        error: reason,
      });
    },
  );
});
