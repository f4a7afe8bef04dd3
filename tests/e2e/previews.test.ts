import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  connectSocket,
  http,
  startSystem,
  stopEverything,
  type EventRecorder,
  type RawHttp,
} from '@tiercel/testkit';
import { isIdleAfter, startComfyUiSystem } from './comfyui-system.ts';
import { post, slow } from './prompts.ts';

/** Who is sent previews: scripts take any picture on their socket for a result. */

const NODES = { NODES_DIR: 'tests/fixtures/nodes' };
let seed = 1;

/** Text to image; every time another, so that nothing is cached. */
const sampling = (checkpoint: string) => ({
  '3': {
    class_type: 'KSampler',
    inputs: {
      ...{ seed: (seed += 1), steps: 4, cfg: 7, sampler_name: 'euler', scheduler: 'normal' },
      ...{ denoise: 1, model: ['4', 0], positive: ['6', 0], negative: ['6', 0] },
      latent_image: ['5', 0],
    },
  },
  '4': { class_type: 'CheckpointLoaderSimple', inputs: { ckpt_name: checkpoint } },
  '5': { class_type: 'EmptyLatentImage', inputs: { width: 64, height: 64, batch_size: 1 } },
  '6': { class_type: 'CLIPTextEncode', inputs: { text: 'a fox', clip: ['4', 1] } },
  '8': { class_type: 'VAEDecode', inputs: { samples: ['3', 0], vae: ['4', 2] } },
  '9': { class_type: 'PreviewImage', inputs: { images: ['8', 0] } },
});

const CASES: readonly [name: string, extra: object, script: boolean, frontend: boolean][] = [
  ['nobody asked: only sockets that announced their features', {}, false, true],
  ['default: the same', { preview_method: 'default' }, false, true],
  ['auto: every socket of the client', { preview_method: 'auto' }, true, true],
  ['latent2rgb: every socket of the client', { preview_method: 'latent2rgb' }, true, true],
  ['none: nobody', { preview_method: 'none' }, false, false],
];

async function run(
  api: RawHttp,
  url: string,
  prompt: object,
  extra: object,
): Promise<{ script: number; frontend: number }> {
  const script = await connectSocket(url, { clientId: 'c' });
  // Announcing that one has nothing special is announcing, too.
  const frontend = await connectSocket(url, { clientId: 'c', featureFlags: {} });
  await frontend.waitForText('feature_flags');
  const id = await post(api, prompt, { client_id: 'c', extra_data: extra });
  const count = async (socket: EventRecorder) => {
    await socket.waitForText('executing', isIdleAfter(id));
    expect(socket.textFrames('progress').length).toBeGreaterThan(0);
    return socket.frames.filter(({ kind }) => kind === 'preview').length;
  };
  const counts = { script: await count(script), frontend: await count(frontend) };
  await Promise.all([script.close(), frontend.close()]);
  return counts;
}

describe.each(['sketches', 'a ComfyUI server'])('previews of a sampler (%s)', (kind) => {
  let url: string;
  let checkpoint: string;
  beforeAll(async () => {
    const isPool = kind !== 'sketches';
    url = (isPool ? (await startComfyUiSystem()).system : await startSystem()).url;
    checkpoint = isPool ? 'v1-5-pruned-emaonly.safetensors' : 'sketch.safetensors';
  });
  afterAll(stopEverything);

  test.each(CASES)('%s', async (_name, extra, script, frontend) => {
    const counts = await run(http(url), url, sampling(checkpoint), extra);
    expect([counts.script > 0, counts.frontend > 0]).toEqual([script, frontend]);
  });
});

describe('previews with api.previews: always', () => {
  afterAll(stopEverything);

  test('go to every socket of the client, unless it asked for none', async () => {
    const { url } = await startSystem({ configYaml: 'api: { previews: always }\n' });
    const prompt = () => sampling('sketch.safetensors');
    expect((await run(http(url), url, prompt(), {})).script).toBeGreaterThan(0);
    expect((await run(http(url), url, prompt(), { preview_method: 'none' })).script).toBe(0);
  });
});

describe('pictures that a node shows by itself', () => {
  afterAll(stopEverything);

  test.each(['embedded', 'pool'])(
    'go to every socket, whatever was asked for (%s)',
    async (tier) => {
      const isPool = tier === 'pool';
      const system = isPool
        ? (await startComfyUiSystem()).system
        : await startSystem({ env: NODES });
      const { url } = system;
      const counts = await run(http(url), url, slow(3, 0.02), { preview_method: 'none' });
      expect(counts).toEqual({ script: 3, frontend: 3 });
    },
  );
});
