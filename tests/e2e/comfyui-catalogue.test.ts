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

/** What the servers of a pool offer together, and what the API refuses by it. */

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

const preview = (images: unknown) => ({ class_type: 'PreviewImage', inputs: { images } });

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

describe('what is added to a server that runs', () => {
  let servers: readonly FakeComfyUi[];
  let first: FakeComfyUi;
  let api: RawHttp;

  beforeAll(async () => {
    ({ servers, first, api } = await startComfyUiSystem({ servers: [{}, {}], workers: 2 }));
    await until(async () => (await readClass(api, 'SaveImage')).length > 2);
  });
  afterAll(stopEverything);

  /** One answer, which must come in time. */
  async function ask<T>(question: () => Promise<T>): Promise<T> {
    const before = performance.now();
    const answer = await question();
    expect(performance.now() - before).toBeLessThan(2_000);
    return answer;
  }

  const load = (file: string) => ({
    '1': { class_type: 'CheckpointLoaderSimple', inputs: { ckpt_name: file } },
    '2': { class_type: 'PreviewAny', inputs: { source: ['1', 0] } },
  });

  test('is taken the first time that a prompt names it: a model file, and a class', async () => {
    const refused = await ask(() => api.post('/prompt', { prompt: load('new.safetensors') }));
    expect(refused.json()).toMatchObject({
      node_errors: { '1': { errors: [{ type: 'value_not_in_list' }] } },
    });
    await first.offer({ checkpoints: ['old.safetensors', 'new.safetensors'] });
    const id = await ask(() => post(api, load('new.safetensors')));
    expect((await waitForEnd(api, id)).status.status_str).toBe('success');

    await first.offer({ extraClasses: nodeClass('Fresh') });
    const fresh = { '1': { class_type: 'Fresh', inputs: {} }, '2': preview(['1', 0]) };
    const next = await ask(() => post(api, fresh));
    expect((await waitForEnd(api, next)).status.status_str).toBe('success');
  });

  test('is taken by a prompt that is large, which another thread reads', async () => {
    await first.offer({ extraClasses: nodeClass('Heavy') });
    const body = {
      prompt: { '1': { class_type: 'Heavy', inputs: {} }, '2': preview(['1', 0]) },
      extra_data: { pad: 'x'.repeat(400_000) },
    };
    const answer = await ask(() => api.post('/prompt', body));
    expect([answer.status, answer.json()]).toMatchObject([200, { node_errors: {} }]);
    const { prompt_id: id } = answer.json() as { prompt_id: string };
    expect((await waitForEnd(api, id)).status.status_str).toBe('success');
  });

  test('does not cost a prompt one of its outputs', async () => {
    const both = { ...load('late.safetensors'), '3': saveImage()['1'], '4': preview(['3', 0]) };
    const without = await ask(() => api.post('/prompt', { prompt: both }));
    expect(without.json()).toMatchObject({ node_errors: { '1': {} } });
    await first.offer({ checkpoints: ['late.safetensors'] });
    const answer = await ask(() => api.post('/prompt', { prompt: both }));
    expect((answer.json() as { node_errors: unknown }).node_errors).toEqual({});
  });

  test('is listed when it is asked for', async () => {
    await first.offer({
      ...{ checkpoints: ['listed.safetensors'], embeddings: ['mood.pt'] },
      ...{ models: { loras: ['style.safetensors'], my_pack: ['x.onnx'] } },
      extraClasses: nodeClass('Listed'),
    });
    expect(await ask(() => readChoices(api))).toContain('listed.safetensors');
    expect((await ask(() => api.get('/models/loras'))).json()).toEqual(['style.safetensors']);
    expect((await ask(() => api.get('/models'))).json()).toContain('my_pack');
    expect((await ask(() => api.get('/embeddings'))).json()).toContain('mood');
    expect((await ask(() => api.get('/object_info'))).text).toContain('"Listed"');
    const added = { checkpoints: ['other.safetensors'], extraClasses: nodeClass('Another') };
    await servers[1]?.offer(added);
    const all = await until(async () => {
      const { text } = await api.get('/object_info');
      return text.includes('"Another"') ? text : undefined;
    }, 2_000);
    expect(all).toContain('other.safetensors');
  });

  test('is not looked for more often than a server bears, and not for ever on one that hangs', async () => {
    const count = async () => {
      const { requests } = await first.state();
      return requests['GET /object_info/CheckpointLoaderSimple'] ?? 0;
    };
    const [before, started] = [await count(), performance.now()];
    const bad = (n: number) => api.post('/prompt', { prompt: load(`bad-${n}.safetensors`) });
    const answers = await Promise.all(Array.from({ length: 60 }, (_, n) => bad(n)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([400]));
    const looks = 1 + Math.ceil((performance.now() - started) / 250);
    // Each of the two workers asks.
    expect((await count()) - before).toBeLessThanOrEqual(2 * looks);
    first.signal('SIGSTOP');
    expect((await ask(() => bad(60))).status).toBe(400);
    first.signal('SIGCONT');
  });
});
