import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  connectSocket,
  http,
  startSystem,
  stopEverything,
  type RawHttp,
  type TestSystem,
} from '@tiercel/testkit';
import { isIdleAfter } from './comfyui-system.ts';
import { upload } from './comfyui-files.ts';
import { families, type Graph } from './graph-families.ts';
import { lastMessage, post, waitForEnd, type HistoryItem } from './prompts.ts';

/**
 * What people have, on a Tiercel without any model: graphs with the classes and the file names of published
 * ones, in small sizes and with texts of our own.
 */

const published = JSON.parse(
  readFileSync(new URL('../fixtures/graphs/published.json', import.meta.url), 'utf8'),
) as Record<string, Graph>;

let system: TestSystem;
let api: RawHttp;
beforeAll(async () => {
  system = await startSystem();
  api = http(system.url);
  const [picture] = await run({
    1: {
      class_type: 'EmptyImage',
      inputs: { width: 96, height: 64, batch_size: 1, color: 0x336699 },
    },
    2: { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: 'source' } },
  });
  const { bytes } = await api.get(`/view?filename=${picture!.filename}`);
  await upload(system, bytes, 'picture.png');
});
afterAll(stopEverything);

type StoredPicture = HistoryItem['outputs'][string]['images'][number];

/** The pictures that a prompt makes; fails with what the job says. */
async function run(graph: Graph): Promise<StoredPicture[]> {
  const item = await waitForEnd(api, await post(api, graph));
  const [, data] = lastMessage(item);
  expect([item.status.status_str, data.exception_message]).toEqual(['success', undefined]);
  return listPictures(item);
}

function listPictures({ outputs }: HistoryItem): StoredPicture[] {
  const shown = Object.values(outputs) as { images?: StoredPicture[] }[];
  return shown.flatMap(({ images = [] }) => images);
}

async function readSize({ filename, subfolder, type }: StoredPicture): Promise<string> {
  const place = new URLSearchParams({ filename, subfolder, type });
  const { bytes } = await api.get(`/view?${place.toString()}`);
  return `${bytes.readUInt32BE(16)}x${bytes.readUInt32BE(20)}`; // of a PNG
}

describe('a graph with the classes and names of a published one makes a picture, or names the node that cannot', () => {
  /** Classes for which nothing here stands. */
  const foreign = new Set([
    'LoadMoGeModel',
    'SDPoseKeypointExtractor',
    'SeedVR2Preprocess',
    'SaveVideo',
  ]);

  test.each(Object.entries(published))('%s', async (_, graph) => {
    const classes = new Set(Object.values(graph).map(({ class_type }) => class_type));
    const answer = await api.post('/prompt', { prompt: graph });
    if ([...classes].some((name) => foreign.has(name))) {
      const { error, node_errors } = answer.json() as unknown as Record<
        string,
        { type: string; extra_info: { class_type: string } }
      >;
      expect([answer.status, node_errors]).toEqual([400, {}]);
      expect(error!.type).toBe('missing_node_type');
      expect(classes).toContain(error!.extra_info.class_type);
      return;
    }
    expect([answer.status, answer.status === 200 ? '' : answer.text]).toEqual([200, '']);
    const { prompt_id: id } = answer.json() as unknown as { prompt_id: string };
    const item = await waitForEnd(api, id);
    const [type, data] = lastMessage(item);
    if (classes.has('TextGenerate') && type === 'execution_error') {
      expect(data.exception_message).toMatch(/^Node \d+ \(TextGenerate\) wants a language model/);
      return;
    }
    expect([type, data.exception_message]).toEqual(['execution_success', undefined]);
    expect(listPictures(item).length).toBeGreaterThan(0);
    expect(item).toMatchObject({
      tiercel: { served_by: { model: 'tiercel-sketch' }, sketch: true },
    });
  });

  test('most of them do', () => {
    const isWhole = (graph: Graph) =>
      Object.values(graph).every(
        ({ class_type }) => !foreign.has(class_type) && class_type !== 'TextGenerate',
      );
    expect(Object.values(published).filter(isWhole).length).toBeGreaterThan(20);
  });
});

test('a new user is greeted by the first graph, not by templates of which there are none', async () => {
  expect((await api.get('/settings')).json()).toEqual({ 'Comfy.TutorialCompleted': true });
  for (const file of ['index.json', 'index_logo.json', 'fuse_options.json']) {
    expect((await api.get(`/templates/${file}`)).status).toBe(200);
  }
});

describe('the usual families of models', () => {
  test.each(Object.entries(families))('%s', async (_, graph) => {
    expect(await run(graph)).toHaveLength(1);
  });

  test('a picture that is padded and enlarged has the size that the graph says', async () => {
    const [picture] = await run(families['inpainting, then four times larger']!);
    expect(await readSize(picture!)).toBe('512x256');
  });

  test('a LoRA, a sampler of its own and another checkpoint each make another picture', async () => {
    const graph = families['Qwen-Image']!;
    const change = (id: string, inputs: Record<string, unknown>): Graph => ({
      ...graph,
      [id]: { ...graph[id]!, inputs: { ...graph[id]!.inputs, ...inputs } },
    });
    const variants = [
      graph,
      change('lora', { lora_name: 'another.safetensors' }),
      change('unet', { unet_name: 'another.safetensors' }),
      change('sample', { sampler_name: 'heun' }),
    ];
    const seen = new Set<string>();
    for (const variant of variants) {
      const [picture] = await run(variant);
      const { bytes } = await api.get(`/view?filename=${picture!.filename}`);
      // Without the texts, which tell the graphs apart anyway.
      seen.add(bytes.subarray(bytes.indexOf('IDAT')).toString('base64'));
    }
    expect(seen.size).toBe(variants.length);
  });
});

describe('names of files that nobody loads', () => {
  test('are taken by every loader, and each has something to choose', async () => {
    const catalogue = (await api.get('/object_info')).json() as unknown as Record<
      string,
      { input: { required: Record<string, [unknown, { options?: string[] }?]> }; output: string[] }
    >;
    const loaders = Object.entries(catalogue).filter(([name]) =>
      /^(?!LoadImage).*(Loader|CheckpointLoaderSimple)$/.test(name),
    );
    expect(loaders.length).toBeGreaterThan(18);
    for (const [classType, { input }] of loaders) {
      const inputs: Record<string, unknown> = {};
      for (const [name, [type, options = {}]] of Object.entries(input.required)) {
        const choices = Array.isArray(type) ? (type as string[]) : options.options;
        const isFile =
          /name|^model_path$/.test(name) && choices !== undefined && name !== 'config_name';
        if (isFile) {
          expect([classType, choices.length > 0]).toEqual([classType, true]);
          inputs[name] = 'unheard of/mine.gguf';
        } else if (choices !== undefined) inputs[name] = choices[0];
        else if (type === 'FLOAT') inputs[name] = 1;
        else if (type === 'MODEL' || type === 'CLIP')
          inputs[name] = ['ckpt', type === 'MODEL' ? 0 : 1];
      }
      await run({
        ckpt: { class_type: 'CheckpointLoaderSimple', inputs: { ckpt_name: 'x.safetensors' } },
        loader: { class_type: classType, inputs },
        show: { class_type: 'PreviewAny', inputs: { source: ['loader', 0] } },
      });
    }
  });

  test('are no excuse for other choices', async () => {
    const graph = families['Z-Image, what newer frontends begin with']!;
    const bad = { ...graph.clip!, inputs: { ...graph.clip!.inputs, type: 'unheard of' } };
    const answer = await api.post('/prompt', { prompt: { ...graph, clip: bad } });
    expect(answer.status).toBe(400);
    expect(answer.text).toContain('value_not_in_list');
  });
});

test('SaveImageWebsocket sends whole pictures and stores none', async () => {
  const socket = await connectSocket(system.url, { clientId: 'script' });
  const graph = {
    1: {
      class_type: 'EmptyImage',
      inputs: { width: 40, height: 24, batch_size: 2, color: 0x123456 },
    },
    2: { class_type: 'SaveImageWebsocket', inputs: { images: ['1', 0] } },
  };
  const id = await post(api, graph, { client_id: 'script' });
  await socket.waitForText('executing', isIdleAfter(id));
  const pictures = socket.frames.filter((frame) => frame.kind === 'preview');
  expect(pictures.map(({ mediaType }) => mediaType)).toEqual(['image/png', 'image/png']);
  expect((await waitForEnd(api, id)).outputs).toEqual({});
});
