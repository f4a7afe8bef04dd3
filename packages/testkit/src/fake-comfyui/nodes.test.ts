import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { JsonObject } from '@tiercel/contracts';
import {
  connectSocket,
  http,
  startFakeComfyUi,
  stopEverything,
  until,
  type EventRecorder,
  type FakeComfyUi,
} from '../index.ts';

let fake: FakeComfyUi;
let client: EventRecorder;

beforeAll(async () => {
  fake = await startFakeComfyUi({
    name: 'left',
    checkpoints: ['one.safetensors', 'two.safetensors'],
    models: { loras: ['fine.safetensors'] },
    extraClasses: {
      OnlyHere: {
        ...{ input: { required: { images: ['IMAGE'] } }, output: [], output_node: true },
        ...{ name: 'OnlyHere', category: 'custom', python_module: 'custom_nodes.here' },
      },
    },
  });
  client = await connectSocket(fake.url, { clientId: 'me' });
});
afterAll(stopEverything);

type Graph = Record<string, { class_type: string; inputs: Record<string, unknown> }>;

/** Runs a graph; its history entry. */
async function run(prompt: Graph, id: string): Promise<JsonObject> {
  const api = http(fake.url);
  const answer = await api.post('/prompt', { prompt, prompt_id: id, client_id: 'me' });
  expect(answer.text).toContain(id);
  await client.waitForText('executing', (data) => {
    return JSON.stringify(data) === `{"node":null,"prompt_id":"${id}"}`;
  });
  const history = (await api.get(`/history/${id}`)).json() as Record<string, JsonObject>;
  return history[id] ?? {};
}

const image = {
  class_type: 'EmptyImage',
  inputs: { width: 8, height: 8, batch_size: 2, color: 5 },
};

describe('outputs of every kind are files in its output folder', () => {
  const cases: readonly [name: string, graph: Graph, outputs: unknown][] = [
    [
      'animated',
      {
        1: image,
        2: {
          class_type: 'SaveAnimatedWEBP',
          inputs: {
            ...{ images: ['1', 0], filename_prefix: 'walk', fps: 6, lossless: true },
            ...{ quality: 80, method: 'default' },
          },
        },
      },
      {
        images: [{ filename: 'walk_00001_.webp', subfolder: '', type: 'output' }],
        animated: [true],
      },
    ],
    [
      'video',
      {
        1: image,
        2: {
          class_type: 'VHS_VideoCombine',
          inputs: {
            ...{ images: ['1', 0], frame_rate: 8, loop_count: 0, filename_prefix: 'clip' },
            ...{ format: 'video/h264-mp4', pingpong: false, save_output: true },
          },
        },
      },
      {
        gifs: [
          {
            ...{ filename: 'clip_00001_.mp4', subfolder: '', type: 'output', frame_rate: 8 },
            ...{ format: 'video/h264-mp4', workflow: 'clip_00001_.png' },
            fullpath: '/opt/ComfyUI/output/clip_00001_.mp4',
          },
        ],
      },
    ],
    [
      'audio',
      {
        1: { class_type: 'EmptyAudio', inputs: { duration: 1, sample_rate: 44100, channels: 2 } },
        2: { class_type: 'SaveAudio', inputs: { audio: ['1', 0], filename_prefix: 'audio/tone' } },
      },
      { audio: [{ filename: 'tone_00001_.flac', subfolder: 'audio', type: 'output' }] },
    ],
    [
      'latents',
      {
        1: { class_type: 'EmptyLatentImage', inputs: { width: 64, height: 64, batch_size: 1 } },
        2: { class_type: 'SaveLatent', inputs: { samples: ['1', 0], filename_prefix: 'noise' } },
      },
      { latents: [{ filename: 'noise_00001_.latent', subfolder: '', type: 'output' }] },
    ],
    [
      '3d as files',
      {
        1: { class_type: 'FakeMesh', inputs: { size: 1 } },
        2: { class_type: 'SaveGLB', inputs: { mesh: ['1', 0], filename_prefix: 'mesh/cube' } },
      },
      { '3d': [{ filename: 'cube_00001_.glb', subfolder: 'mesh', type: 'output' }] },
    ],
    [
      '3d as paths',
      {
        1: { class_type: 'FakeMesh', inputs: { size: 2 } },
        2: { class_type: 'Save3D', inputs: { mesh: ['1', 0], filename_prefix: 'mesh/ball' } },
      },
      { result: ['mesh/ball_00001_.glb', null, null] },
    ],
  ];
  for (const [name, graph, outputs] of cases) {
    test(name, async () => {
      const entry = await run(graph, `of-${name.replaceAll(' ', '-')}`);
      expect(entry.outputs).toEqual({ 2: outputs });
      const [, file = ''] = /"((?:[\w]+\/)?[\w]+_00001_\.\w+)"/.exec(JSON.stringify(outputs)) ?? [];
      const [, subfolder = ''] = /"subfolder":"(\w*)"/.exec(JSON.stringify(outputs)) ?? [];
      expect(readFileSync(join(fake.folder, 'output', subfolder, file)).length).toBeGreaterThan(0);
    });
  }
});

test('an uploaded picture comes out again', async () => {
  const bytes = readFileSync(join(fake.folder, 'output', 'clip_00001_.png'));
  const form = new FormData();
  form.append('image', new Blob([new Uint8Array(bytes)]), 'mine.png');
  await fetch(`${fake.url}/upload/image`, { method: 'POST', body: form });
  const graph: Graph = {
    1: { class_type: 'LoadImage', inputs: { image: 'mine.png' } },
    2: { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: 'again' } },
  };
  await run(graph, 'loads');
  const saved = readFileSync(join(fake.folder, 'output', 'again_00001_.png'));
  const endOf = (png: Buffer): string => png.subarray(-40).toString('hex');
  expect(endOf(saved)).toBe(endOf(bytes));
  const { uploads } = await fake.state();
  expect(uploads).toMatchObject([{ name: 'mine.png', type: 'input', bytes: bytes.length }]);
});

test('an extension sends messages and text of its own', async () => {
  await run({ 7: { class_type: 'CustomMessage', inputs: { value: 'hello' } } }, 'message');
  const data = { value: 'hello', node: '7', prompt_id: 'message' };
  expect(client.textFrames('my.extension')).toMatchObject([{ data }]);
  const texts = client.frames.filter((frame) => frame.kind === 'progress_text');
  expect(texts).toMatchObject([{ nodeId: '7', text: 'hello' }]);
});

test('a job takes as long as it is told, and is computed once', async () => {
  const graph: Graph = {
    1: { class_type: 'RunMs', inputs: { ms: 60, seed: 18446744073709551615n } },
    2: { class_type: 'OnlyHere', inputs: { images: ['1', 0] } },
  };
  const startedAt = performance.now();
  await run(graph, 'timed');
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(58);
  await run(graph, 'again');
  const { runs, computedNodes } = await fake.state();
  expect([runs.timed, runs.again]).toEqual([1, 1]);
  expect([computedNodes.timed, computedNodes.again]).toEqual([['1', '2'], undefined]);
});

test('says what it has, with 64-bit limits', async () => {
  const api = http(fake.url);
  expect((await api.get('/api/models/checkpoints')).json()).toEqual([
    ...['one.safetensors', 'two.safetensors'],
  ]);
  expect((await api.get('/models/loras')).json()).toEqual(['fine.safetensors']);
  const { text } = await api.get('/object_info');
  expect(text).toContain('"ckpt_name": [["one.safetensors", "two.safetensors"], {}]');
  expect(text).toContain('"max": 18446744073709551615');
  expect(text).toContain('"OnlyHere"');
  expect((await api.get('/object_info/LoadImage')).text).toContain('mine.png');
});

test('has a page, a script and a custom route to be proxied', async () => {
  const api = http(fake.url);
  expect((await api.get('/')).text).toContain('ComfyUI left');
  expect((await api.get('/extensions/fake/x.js')).headers['content-type']).toBe('text/javascript');
  expect((await api.post('/customnode/ping?a=1', 'x')).json()).toEqual({
    ...{ pong: 'left', method: 'POST', query: { a: '1' }, body: 'x' },
  });
});

test('a smaller server refuses what it does not have', async () => {
  const small = await startFakeComfyUi({ classes: ['SaveImage', 'EmptyImage'] });
  const prompt = { 1: { class_type: 'KSampler', inputs: {} } };
  const answer = await http(small.url).post('/prompt', { prompt });
  expect(answer.status).toBe(400);
  expect(answer.text).toContain('node KSampler does not exist');
  await until(async () => (await small.state()).prompts[0]?.isAccepted === false);
});
