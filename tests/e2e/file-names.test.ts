import { afterEach, describe, expect, test } from '@jest/globals';
import {
  http,
  startFakeComfyUi,
  startSystem,
  stopEverything,
  type RawHttp,
} from '@tiercel/testkit';
import { startComfyUiSystem } from './comfyui-system.ts';
import { reportOf, startFallbackSystem } from './fallback-system.ts';
import { families, type Graph } from './graph-families.ts';
import { lastMessage, post, waitForEnd } from './prompts.ts';

/** A name of a file is refused only where every tier that could load it says so. */

afterEach(stopEverything);

const node = (class_type: string, inputs: Record<string, unknown>) => ({ class_type, inputs });

/** SD 1.5 text to image with this checkpoint, perhaps with a LoRA or a ControlNet. */
function textToImage(ckpt_name: string, more: Graph = {}): Graph {
  return {
    ckpt: node('CheckpointLoaderSimple', { ckpt_name }),
    positive: node('CLIPTextEncode', { clip: ['ckpt', 1], text: 'a kite' }),
    negative: node('CLIPTextEncode', { clip: ['ckpt', 1], text: '' }),
    empty: node('EmptyLatentImage', { width: 64, height: 64, batch_size: 1 }),
    sample: node('KSampler', {
      ...{ model: ['ckpt', 0], positive: ['positive', 0], negative: ['negative', 0] },
      ...{ latent_image: ['empty', 0], seed: 1, steps: 2, cfg: 7, denoise: 1 },
      ...{ sampler_name: 'euler', scheduler: 'normal' },
    }),
    decode: node('VAEDecode', { samples: ['sample', 0], vae: ['ckpt', 2] }),
    save: node('SaveImage', { images: ['decode', 0], filename_prefix: 'name' }),
    ...more,
  };
}

/** The sampler of the graph above with other links. */
function sampler(links: Record<string, unknown>): Graph {
  const { sample } = textToImage('x');
  return { sample: { ...sample!, inputs: { ...sample!.inputs, ...links } } };
}

const lora: Graph = {
  lora: node('LoraLoader', {
    ...{ model: ['ckpt', 0], clip: ['ckpt', 1], lora_name: 'mine.safetensors' },
    ...{ strength_model: 0.8, strength_clip: 0.8 },
  }),
  ...sampler({ model: ['lora', 0] }),
};

const control: Graph = {
  net: node('ControlNetLoader', { control_net_name: 'scribble.pth' }),
  hint: node('EmptyImage', { width: 64, height: 64, batch_size: 1, color: 0 }),
  control: node('ControlNetApply', {
    ...{ conditioning: ['positive', 0], control_net: ['net', 0], image: ['hint', 0], strength: 1 },
  }),
  ...sampler({ positive: ['control', 0] }),
};

async function refusalOf(api: RawHttp, graph: Graph): Promise<string> {
  const answer = await api.post('/prompt', { prompt: graph });
  expect(answer.status).toBe(400);
  return answer.text;
}

describe('with image services, which load no file', () => {
  test('any name will do, and the report says what painted', async () => {
    const { api } = await startFallbackSystem();
    const graphs = [
      textToImage('my_own_finetune.safetensors'),
      textToImage('sd3_medium_incl_clips_t5xxlfp8.safetensors'),
      families['Z-Image, what newer frontends begin with']!,
      families['Flux with a sampler of parts']!,
    ];
    for (const graph of graphs) {
      const item = await waitForEnd(api, await post(api, graph));
      expect(item.status.status_str).toBe('success');
      expect(reportOf(item).served_by).toMatchObject({ tier: 'primary', model: 'gpt-image-2' });
    }
  });

  test('LoRA and ControlNet are left out where that is allowed', async () => {
    const { api } = await startFallbackSystem({
      config: 'fallback: { mayOmit: [lora, controlnet] }\n',
    });
    for (const [more, classType] of [
      [lora, 'LoraLoader'],
      [control, 'ControlNetApply'],
    ] as const) {
      const item = await waitForEnd(api, await post(api, textToImage('x.safetensors', more)));
      expect(item.status.status_str).toBe('success');
      expect(reportOf(item).omitted).toEqual([expect.stringContaining(classType)]);
    }
  });

  test('where it is not, one sentence names the node', async () => {
    const { api } = await startFallbackSystem();
    const item = await waitForEnd(api, await post(api, textToImage('x.safetensors', control)));
    const [type, data] = lastMessage(item);
    expect([type, data.exception_type]).toEqual(['execution_error', 'no_tier']);
    expect(data.exception_message).toBe(
      'No tier can run this prompt: node control (ControlNetApply) applies a ControlNet, which image services cannot.',
    );
    expect([data.node_id, data.node_type]).toEqual(['control', 'ControlNetApply']);
  });
});

describe('with ComfyUI servers', () => {
  test('alone, a file that none of them has is refused, also one of the sketch generator', async () => {
    const { api } = await startComfyUiSystem({
      servers: [{ checkpoints: ['one.safetensors'] }, { checkpoints: ['two.safetensors'] }],
      moreTiers: '{ name: here, driver: embedded }',
    });
    await waitForEnd(api, await post(api, textToImage('two.safetensors')));
    for (const name of ['three.safetensors', 'sketch.safetensors']) {
      expect(await refusalOf(api, textToImage(name))).toMatch(
        /value_not_in_list.*one\.safetensors/,
      );
    }
  });

  test('before image services, theirs goes to them and any other to a service', async () => {
    const gpu = await startFakeComfyUi({ name: 'gpu', checkpoints: ['one.safetensors'] });
    const { primary } = await startFallbackSystem();
    const system = await startSystem({
      configYaml:
        `tiers: [{ name: gpu, driver: comfyui, urls: ["${gpu.url}"] }, ` +
        `{ name: cloud, driver: openai, url: "${primary.url}/v1", apiKey: k, model: gpt-image-2 }]\n`,
    });
    const api = http(system.url);
    const served = async (name: string) => {
      const item = await waitForEnd(api, await post(api, textToImage(name)));
      return reportOf(item).served_by?.tier;
    };
    expect(await served('one.safetensors')).toBe('gpu');
    expect(await served('another.safetensors')).toBe('cloud');
  });
});
