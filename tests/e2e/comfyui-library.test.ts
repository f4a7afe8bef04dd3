import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { JsonObject } from '@tiercel/contracts';
import {
  connectSocket,
  stopEverything,
  until,
  type FakeComfyUi,
  type RawHttp,
  type TestSystem,
} from '@tiercel/testkit';
import { startComfyUiSystem } from './comfyui-system.ts';
import { post, readHistory, saveImage, waitForEnd } from './prompts.ts';

/** What frontends ask of a server beside running prompts, when there are several servers behind one address. */

let servers: readonly FakeComfyUi[];
let system: TestSystem;
let api: RawHttp;

const subgraph = (name: string, data: string): JsonObject => ({
  ...{ source: 'templates', name, info: { node_pack: 'comfyui' }, data },
});

/** An old class, with what ComfyUI tells of its successor. */
const replacement = (old: string, inputs: readonly JsonObject[]): JsonObject => ({
  [old]: [
    {
      ...{ new_node_id: 'EmptyImage', old_node_id: old, old_widget_ids: null },
      ...{ input_mapping: [...inputs], output_mapping: [{ old_idx: 3, new_idx: 0 }] },
    },
  ],
});

beforeAll(async () => {
  ({ servers, system, api } = await startComfyUiSystem({
    servers: [
      {
        name: 'a',
        system: { comfyui_version: '0.33.0', python_version: '3.12.1' },
        features: { supports_model_type_tags: true, assets: true, max_upload_size: 1 },
        subgraphs: { one: subgraph('One', '{"a":1}'), both: subgraph('Both of a', '{}') },
        nodeReplacements: replacement('OldEmpty', [
          { new_id: 'width', old_id: 'w' },
          { new_id: 'height', set_value: 16 },
          { new_id: 'batch_size', set_value: 1 },
          { new_id: 'color', old_id: 'colour' },
        ]),
        i18n: { en: { nodeDefs: { A: { name: 'of a' } } }, fr: { x: 'de a' } },
        workflowTemplates: { pack: ['one'], only_a: ['two'] },
        checkpoints: ['a.safetensors', 'both.safetensors'],
        modelMetadata: { 'checkpoints/a.safetensors': { title: 'of a' } },
      },
      {
        name: 'b',
        system: { comfyui_version: '0.30.2', python_version: '3.10.1' },
        features: { extension: { manager: { supports_v4: true } }, node_replacements: true },
        subgraphs: { two: subgraph('Two', '{"b":2}'), both: subgraph('Both of b', '{}') },
        nodeReplacements: replacement('OlderEmpty', []),
        i18n: { en: { nodeDefs: { A: { name: 'of b' }, B: { name: 'of b' } } } },
        workflowTemplates: { pack: ['one', 'more'] },
        checkpoints: ['both.safetensors', 'b.safetensors'],
        models: { only_b: ['x.onnx'] },
        modelMetadata: { 'checkpoints/sub/b.safetensors': { title: 'of b' } },
        modelPreviews: ['checkpoints/sub dir/b.safetensors'],
      },
    ],
  }));
  await until(async () => (await api.get('/object_info/EmptyImage')).text !== '{}');
  await until(async () => Object.keys(await readJson('/node_replacements')).length === 2);
});
afterAll(stopEverything);

async function readJson<T = Record<string, unknown>>(path: string): Promise<T> {
  const { status, text } = await api.get(path);
  expect([path, status]).toEqual([path, 200]);
  return JSON.parse(text) as T;
}

describe('the servers of a pool are one to a frontend', () => {
  test.each(['', '/api'])('in %s/features, and in what a socket is told', async (prefix) => {
    const features = await readJson(`${prefix}/features`);
    expect(features).toMatchObject({
      ...{ supports_preview_metadata: true, supports_model_type_tags: true, assets: false },
      ...{ node_replacements: true, extension: { manager: { supports_v4: true } } },
    });
    expect(features.max_upload_size).toBeGreaterThan(1);
    const socket = await connectSocket(system.url, {
      featureFlags: { supports_preview_metadata: true },
    });
    expect((await socket.waitForText('feature_flags')).data).toEqual(features);
  });

  test('in the versions of /system_stats: the oldest speaks for all', async () => {
    const { system: received } = await readJson<{ system: JsonObject }>('/system_stats');
    expect(received).toMatchObject({ comfyui_version: '0.30.2', python_version: '3.10.1' });
    expect(JSON.stringify(received)).not.toContain('main.py');
  });

  test.each(['', '/api'])('in %s/global_subgraphs, each with its data', async (prefix) => {
    const listed = await readJson<Record<string, JsonObject>>(`${prefix}/global_subgraphs`);
    expect(Object.keys(listed).sort()).toEqual(['both', 'one', 'two']);
    expect(listed.one).toEqual({ ...subgraph('One', ''), data: undefined });
    for (const [id, data] of [
      ['one', '{"a":1}'],
      ['two', '{"b":2}'],
    ]) {
      expect(await readJson(`${prefix}/global_subgraphs/${id}`)).toMatchObject({ data });
    }
    expect((await api.get(`${prefix}/global_subgraphs/none`)).text).toBe('null');
  });

  test('in translations, and in the example workflows of packs', async () => {
    expect(await readJson('/i18n')).toEqual({
      en: { nodeDefs: { A: { name: 'of a' }, B: { name: 'of b' } } },
      fr: { x: 'de a' },
    });
    expect(await readJson('/api/workflow_templates')).toEqual({
      ...{ pack: ['one', 'more'], only_a: ['two'] },
    });
    for (let turn = 0; turn < 3; turn += 1) {
      expect(await readJson('/api/workflow_templates/pack/more.json')).toMatchObject({ of: 'b' });
      expect(await readJson('/api/workflow_templates/only_a/two.json')).toMatchObject({ of: 'a' });
    }
    expect((await api.get('/api/workflow_templates/pack/none.json')).status).toBe(404);
  });

  test('in the model library: folders, files, metadata and previews', async () => {
    const folders = await readJson<{ name: string; folders: string[] }[]>('/experiment/models');
    expect(folders.find(({ name }) => name === 'checkpoints')?.folders).toEqual([
      ...['/srv/a/models/checkpoints', '/srv/b/models/checkpoints'],
    ]);
    expect(folders.find(({ name }) => name === 'only_b')?.folders).toEqual([
      '/srv/b/models/only_b',
    ]);
    const files = await readJson<{ name: string }[]>('/experiment/models/checkpoints');
    expect(files.map(({ name }) => name).sort()).toEqual([
      ...['a.safetensors', 'b.safetensors', 'both.safetensors'],
    ]);
    expect(files[0]).toEqual({
      ...{ name: 'a.safetensors', pathIndex: 0, modified: 1.5, created: 1.25, size: 7 },
    });
    expect((await api.get('/experiment/models/nothing')).status).toBe(404);
    const paths = await readJson<Record<string, string[]>>('/internal/folder_paths');
    expect(paths.loras).toEqual(['/srv/a/models/loras', '/srv/b/models/loras']);
    // Each several times: servers take turns.
    for (let turn = 0; turn < 3; turn += 1) {
      expect(await readJson('/view_metadata/checkpoints?filename=a.safetensors')).toEqual({
        title: 'of a',
      });
      expect(await readJson('/api/view_metadata/checkpoints?filename=sub%2Fb.safetensors')).toEqual(
        { title: 'of b' },
      );
      const picture = await api.get(
        '/api/experiment/models/preview/checkpoints/0/sub%20dir/b.safetensors',
      );
      expect([picture.headers['content-type'], picture.text]).toEqual([
        ...['image/webp', 'preview by b'],
      ]);
    }
    const none = '/experiment/models/preview/checkpoints/0/none.safetensors';
    expect((await api.get(none)).status).toBe(404);
    expect((await api.get('/view_metadata/checkpoints?filename=no')).status).toBe(404);
  });
});

describe('a node that servers know a successor of', () => {
  const prompt = {
    '1': {
      class_type: 'OldEmpty',
      inputs: { w: 32, colour: 7, forgotten: 1 },
      _meta: { title: 'Old' },
    },
    '2': { class_type: 'SaveImage', inputs: { images: ['1', 3], filename_prefix: 'replaced' } },
  };

  test('is replaced before the prompt is checked, and shows as it ran', async () => {
    const id = await post(api, prompt);
    expect((await waitForEnd(api, id)).status.status_str).toBe('success');
    const shown = (await readHistory(api, id))?.prompt[2];
    expect(shown).toEqual({
      '1': {
        class_type: 'EmptyImage',
        inputs: { width: 32, height: 16, batch_size: 1, color: 7 },
        _meta: { title: 'Old' },
      },
      '2': { ...prompt['2'], inputs: { ...prompt['2'].inputs, images: ['1', 0] } },
    });
  });

  test('is checked as its successor', async () => {
    const bad = { ...prompt, '1': { class_type: 'OlderEmpty', inputs: { w: 32 } } };
    const { node_errors: errors } = (await api.post('/prompt', { prompt: bad })).json() as {
      node_errors: Record<string, { class_type: string; errors: { type: string }[] }>;
    };
    expect(errors['1']?.class_type).toBe('EmptyImage');
    expect(errors['1']?.errors[0]?.type).toBe('required_input_missing');
  });
});

describe('a server that says nothing', () => {
  test('keeps no answer of the others back for long', async () => {
    const [, second] = servers;
    second?.signal('SIGSTOP');
    try {
      const started = performance.now();
      const listed = await readJson('/global_subgraphs');
      expect(Object.keys(listed).sort()).toEqual(['both', 'one']);
      expect(performance.now() - started).toBeLessThan(5_000);
      await waitForEnd(api, await post(api, saveImage()), 30_000);
    } finally {
      second?.signal('SIGCONT');
    }
  }, 60_000);
});
