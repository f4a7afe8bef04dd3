import { writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { ObjectInfo } from '@tiercel/contracts';
import {
  startFakeComfyUi,
  stopEverything,
  until,
  type FakeComfyUi,
  type RawHttp,
  type TestSystem,
} from '@tiercel/testkit';
import { countRuns, startComfyUiSystem, startCounting, tiersLine } from './comfyui-system.ts';
import { post, saveImage, waitForEnd } from './prompts.ts';

/** What the servers of a pool offer together, and what the API refuses by it (issue 3). */

const LONG_MS = 30_000;

/** A class of an extension, as /object_info tells of it. */
function nodeClass(name: string): ObjectInfo {
  return {
    [name]: {
      input: { required: {} },
      input_order: { required: [] },
      ...{ output: ['IMAGE'], output_is_list: [false], output_name: ['IMAGE'] },
      ...{ name, display_name: name, description: '', python_module: 'custom_nodes.x' },
      ...{ category: 'x', output_node: false },
    },
  };
}

/** A class of an extension with a list and a range. */
const DIAL: ObjectInfo = {
  Dial: {
    ...nodeClass('Dial').Dial,
    input: { required: { mode: [['soft']], level: ['INT', { default: 1, min: 0, max: 9 }] } },
  } as ObjectInfo[string], // the spread of a member that is there
};

async function readClass(api: RawHttp, name: string): Promise<string> {
  return (await api.get(`/object_info/${name}`)).text;
}

async function readChoices(api: RawHttp): Promise<unknown> {
  const info = (await api.get('/object_info/CheckpointLoaderSimple')).json() as Record<
    string,
    { input: { required: { ckpt_name: unknown[] } } }
  >;
  return info.CheckpointLoaderSimple?.input.required.ckpt_name[0];
}

describe('two servers', () => {
  let servers: readonly FakeComfyUi[];
  let api: RawHttp;

  beforeAll(async () => {
    ({ servers, api } = await startComfyUiSystem({
      servers: [
        {
          ...{ checkpoints: ['a.safetensors', 'both.safetensors'], embeddings: ['easy'] },
          ...{ extraClasses: { ...nodeClass('OnlyOnA'), ...DIAL }, device: { name: 'gpu of a' } },
        },
        {
          ...{ checkpoints: ['both.safetensors', 'b.safetensors'], embeddings: ['bad'] },
          ...{ extraClasses: nodeClass('OnlyOnB'), device: { name: 'gpu of b' } },
          extensions: ['/extensions/only-b/y.js'],
        },
      ],
    }));
    await until(async () => (await readClass(api, 'OnlyOnB')).length > 2);
  });
  afterAll(stopEverything);

  test('are shown as one: classes, lists, exact limits, embeddings, extensions and devices', async () => {
    expect(await readClass(api, 'OnlyOnA')).toContain('OnlyOnA');
    expect(await readChoices(api)).toEqual(['a.safetensors', 'both.safetensors', 'b.safetensors']);
    expect(await readClass(api, 'KSampler')).toContain('18446744073709551615');
    expect((await api.get('/embeddings')).json()).toEqual(expect.arrayContaining(['easy', 'bad']));
    expect((await api.get('/extensions')).text).toContain('/extensions/only-b/y.js');
    const { devices } = (await api.get('/system_stats')).json() as { devices: { name: string }[] };
    expect(devices.map(({ name }) => name).sort()).toEqual(['gpu of a', 'gpu of b']);
  });

  test('are both told to free their memory', async () => {
    const body = { unload_models: true, free_memory: true };
    expect((await api.post('/free', body)).status).toBe(200);
    for (const server of servers) {
      await until(async () => (await server.state()).frees.length > 0);
      expect((await server.state()).frees).toEqual([body]);
    }
  });

  test('hear nothing of a prompt with a class or a value that neither has', async () => {
    const unknown = { '1': { class_type: 'Nowhere', inputs: {} } };
    const refused = await api.post('/prompt', { prompt: unknown });
    expect(refused.status).toBe(400);
    expect(refused.text).toContain('Nowhere');
    const wrong = await api.post('/prompt', {
      prompt: {
        '1': { class_type: 'CheckpointLoaderSimple', inputs: { ckpt_name: 'c.safetensors' } },
        '2': { class_type: 'PreviewAny', inputs: { source: ['1', 0] } },
      },
    });
    expect(wrong.status).toBe(400);
    expect(wrong.json()).toMatchObject({
      node_errors: { '1': { errors: [{ type: 'value_not_in_list' }] } },
    });
    const states = await Promise.all(servers.map((server) => server.state()));
    expect(states.flatMap(({ prompts }) => prompts)).toEqual([]);
  });

  test('judge what an extension’s class is given: its own checks may replace the catalogue’s', async () => {
    const prompt = {
      '1': { class_type: 'Dial', inputs: { mode: 'loud', level: 11 } },
      '2': { class_type: 'PreviewImage', inputs: { images: ['1', 0] } },
    };
    const { status } = await waitForEnd(api, await post(api, prompt));
    expect(status).toMatchObject({ status_str: 'error' });
    expect(status.messages.at(-1)).toMatchObject([
      'execution_error',
      {
        node_id: '1',
        node_type: 'Dial',
        node_errors: {
          '1': { errors: [{ type: 'value_not_in_list' }, { type: 'value_bigger_than_max' }] },
        },
      },
    ]);
    const level = {
      ...prompt,
      '1': { class_type: 'Dial', inputs: { mode: 'loud', level: 'eleven' } },
    };
    expect((await api.post('/prompt', { prompt: level })).status).toBe(400);
  });
});

describe('what is on offer', () => {
  let first: FakeComfyUi;
  let system: TestSystem;
  let api: RawHttp;

  beforeAll(async () => {
    ({ first, system, api } = await startComfyUiSystem());
  });
  afterAll(stopEverything);

  test('is refreshed when a server comes back with more than it had', async () => {
    await until(async () => (await readClass(api, 'SaveImage')).length > 2);
    expect(await readClass(api, 'Added')).toBe('{}');
    await first.restart({ options: { extraClasses: nodeClass('Added') } });
    await until(async () => (await readClass(api, 'Added')).includes('Added'), LONG_MS);
    const prompt = {
      '1': { class_type: 'Added', inputs: {} },
      '2': { class_type: 'PreviewImage', inputs: { images: ['1', 0] } },
    };
    expect((await waitForEnd(api, await post(api, prompt))).status.status_str).toBe('success');
  }, 60_000);

  test('follows the servers that the configuration file adds and removes', async () => {
    const countSince = await startCounting(first);
    const added = await startFakeComfyUi({ extraClasses: nodeClass('Joined') });
    await writeFile(system.configFile, tiersLine([first.url, added.url]));
    await until(async () => (await readClass(api, 'Joined')).includes('Joined'), LONG_MS);
    await writeFile(system.configFile, tiersLine([first.url]));
    await until(async () => (await readClass(api, 'Joined')) === '{}', LONG_MS);
    await waitForEnd(api, await post(api, saveImage()));
    expect([await countSince(), await countRuns(added)]).toEqual([1, 0]);
  }, 90_000);
});
