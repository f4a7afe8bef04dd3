import { execFile, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { CallWrapper, ComfyApi, PromptBuilder } from '@saintno/comfyui-sdk';
import { Client } from '@stable-canvas/comfyui-client';
import {
  http,
  makeTempFolder,
  onStopEverything,
  startSystem,
  stopEverything,
  until,
} from '@tiercel/testkit';
import { ComfyUIClient } from 'comfy-ui-client';
import { WebSocket } from 'ws';

/** Libraries and scripts that were written for ComfyUI, unchanged, against the whole system. */

const NODES_DIR = 'tests/fixtures/nodes';
const PNG_MAGIC = '89504e47';
const TIMEOUT_MS = 20_000;

let url = '';
let host = '';
let checkpoint = '';

beforeAll(async () => {
  const system = await startSystem({ env: { NODES_DIR } });
  url = system.url;
  host = new URL(url).host;
  // As runpod's worker finds it.
  const answer = (await http(url).get('/object_info/CheckpointLoaderSimple')).json() as {
    CheckpointLoaderSimple: { input: { required: { ckpt_name: [string[]] } } };
  };
  checkpoint = answer.CheckpointLoaderSimple.input.required.ckpt_name[0][0] ?? '';
});

afterAll(stopEverything);

/** A node as the editor's export has it. */
function node(classType: string, inputs: Record<string, unknown>) {
  return { class_type: classType, inputs, _meta: { title: classType } };
}

/** ComfyUI's default graph, small. */
function textToImage(seed: number) {
  return {
    '3': node('KSampler', {
      ...{ seed, steps: 4, cfg: 8, sampler_name: 'euler', scheduler: 'normal', denoise: 1 },
      ...{ model: ['4', 0], positive: ['6', 0], negative: ['7', 0], latent_image: ['5', 0] },
    }),
    '4': node('CheckpointLoaderSimple', { ckpt_name: checkpoint }),
    '5': node('EmptyLatentImage', { width: 64, height: 64, batch_size: 1 }),
    '6': node('CLIPTextEncode', { text: 'a lake at dusk', clip: ['4', 1] }),
    '7': node('CLIPTextEncode', { text: 'text', clip: ['4', 1] }),
    '8': node('VAEDecode', { samples: ['3', 0], vae: ['4', 2] }),
    '9': node('SaveImage', { filename_prefix: 'stock', images: ['8', 0] }),
  };
}

/** A graph whose first node raises in the middle of its work. */
function failing() {
  return {
    '1': node('SlowPreview', { steps: 3, delay: 0.01, fail_at: 1 }),
    '2': node('PreviewImage', { images: ['1', 0] }),
  };
}

function unknownNode() {
  return { '1': node('NoSuchNode', {}) };
}

async function magicOf(blob: Blob): Promise<string> {
  return Buffer.from(await blob.arrayBuffer()).toString('hex', 0, 4);
}

describe('comfy-ui-client', () => {
  const connect = async (): Promise<ComfyUIClient> => {
    const client = new ComfyUIClient(host, 'comfy-ui-client');
    await client.connect();
    onStopEverything(() => client.disconnect());
    return client;
  };

  test('runs a job and gets its image', async () => {
    const images = await (await connect()).getImages(textToImage(1));
    expect(Object.keys(images)).toEqual(['9']);
    const [image] = images['9'] ?? [];
    expect(image?.image).toMatchObject({ subfolder: '', type: 'output' });
    expect(await magicOf(image?.blob ?? new Blob([]))).toBe(PNG_MAGIC);
  });

  test('comes back from a job that failed, and from one that was refused', async () => {
    const client = await connect();
    expect(await client.getImages(failing())).toEqual({});
    await expect(client.queuePrompt(unknownNode())).rejects.toThrow();
  });
});

describe('@stable-canvas/comfyui-client', () => {
  const connect = async (withSocket: boolean): Promise<Client> => {
    const client = new Client({ api_host: host, WebSocket, fetch });
    onStopEverything(() => {
      client.close();
    });
    await client.connect({ websocket: { enabled: withSocket }, polling: { enabled: !withSocket } });
    return client;
  };
  const expectImage = async (images: readonly { type: string; data: unknown }[]): Promise<void> => {
    // This library takes previews for images too (type `buff`).
    const results = images.filter(({ type }) => type === 'url');
    expect(results).toHaveLength(1);
    const answer = await fetch(String(results[0]?.data));
    expect(await magicOf(await answer.blob())).toBe(PNG_MAGIC);
  };

  test('runs a job by its socket and gets its image', async () => {
    const client = await connect(true);
    const { images } = await client.enqueue(textToImage(2), { disable_random_seed: true });
    await expectImage(images);
  });

  test('runs a job by polling and gets its image', async () => {
    const client = await connect(false);
    const options = { disable_random_seed: true, polling_ms: 50 };
    const { images } = await client.enqueue_polling(textToImage(3), options);
    await expectImage(images);
  });

  test('hears of a failure by its socket and by polling, and of a refusal', async () => {
    const client = await connect(true);
    await expect(client.enqueue(failing())).rejects.toThrow();
    await expect(client.enqueue_polling(failing(), { polling_ms: 50 })).rejects.toThrow();
    await expect(client.enqueue(unknownNode())).rejects.toThrow();
  });
});

describe('@saintno/comfyui-sdk', () => {
  const connect = async (): Promise<ComfyApi> => {
    const api = new ComfyApi(url, 'comfyui-sdk');
    onStopEverything(() => {
      api.destroy();
    });
    return api.init().waitForReady();
  };

  test('runs a job and gets its image', async () => {
    const api = await connect();
    const workflow = new PromptBuilder(textToImage(0), ['seed'], ['images'])
      .setInputNode('seed', '3.inputs.seed')
      .setOutputNode('images', '9')
      .input('seed', 4);
    const result = await new CallWrapper(api, workflow).run();
    const { images } = result as unknown as {
      images: { images: { filename: string; subfolder: string; type: string }[] };
    };
    const [image] = images.images;
    if (image === undefined) throw new Error('no image');
    expect(await magicOf(await api.getImage(image))).toBe(PNG_MAGIC);
  });

  test('hears of a failure and of a refusal', async () => {
    const api = await connect();
    for (const graph of [failing(), unknownNode()]) {
      const failures: Error[] = [];
      const workflow = new PromptBuilder(graph, [], []);
      const run = new CallWrapper(api, workflow).onFailed((error) => failures.push(error)).run();
      expect(await run).toBe(false);
      expect(failures).not.toEqual([]);
    }
  });
});

const python = spawnSync('python3', ['--version']).status === 0;

describe(python ? 'a Python script' : 'a Python script (skipped: there is no python3)', () => {
  (python ? test : test.skip)(
    'posts a form, follows the socket to the end, then reads history and the image',
    async () => {
      const graph = join(makeTempFolder(), 'graph.json');
      writeFileSync(graph, JSON.stringify(textToImage(5)));
      const script = join(import.meta.dirname, 'fixtures/websocket_example.py');
      const { stdout } = await promisify(execFile)('python3', [script, host, graph], {
        timeout: TIMEOUT_MS,
      });
      const received = JSON.parse(stdout) as {
        events: string[];
        previews: number;
        images: object[];
      };
      expect(received.images).toEqual([
        { node: '9', bytes: expect.any(Number) as unknown, magic: PNG_MAGIC },
      ]);
      expect(received.events[0]).toBe('status');
      expect(received.events).toContain('execution_success');
    },
  );
});

test('a client without a socket posts and asks history until the job is there', async () => {
  const api = http(url);
  const answer = (await api.post('/prompt', JSON.stringify({ prompt: textToImage(6) }))).json();
  const { prompt_id: id } = answer as { prompt_id: string };
  type Item = {
    outputs: { 9: { images: [{ filename: string }] } };
    status: { completed: boolean };
  };
  const item = await until(async () => {
    const history = (await api.get(`/history/${id}`)).json() as unknown as Record<string, Item>;
    return history[id];
  }, TIMEOUT_MS);
  expect(item.status.completed).toBe(true);
  const [{ filename }] = item.outputs[9].images;
  const image = await api.get(`/view?filename=${filename}&subfolder=&type=output`);
  expect(image.bytes.toString('hex', 0, 4)).toBe(PNG_MAGIC);
});
