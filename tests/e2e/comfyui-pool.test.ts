import { writeFile } from 'node:fs/promises';
import { afterEach, describe, expect, test } from '@jest/globals';
import type { ObjectInfo } from '@tiercel/contracts';
import { startFakeComfyUi, stopEverything, until, type RawHttp } from '@tiercel/testkit';
import { countRuns, readUpstreamIds, startComfyUiSystem, tiersLine } from './comfyui-system.ts';
import { post, saveImage, waitForEnd } from './prompts.ts';

/** Several servers as one: what they offer together, and who gets which job (issue 3). */

afterEach(stopEverything);

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

const withCheckpoint = (name: string, seed: number) => ({
  '1': { class_type: 'CheckpointLoaderSimple', inputs: { ckpt_name: name } },
  '2': { class_type: 'CLIPTextEncode', inputs: { text: `fox ${seed}`, clip: ['1', 1] } },
  '3': { class_type: 'PreviewAny', inputs: { source: ['2', 0] } },
});

describe('what clients see', () => {
  test('is the union: classes, lists, exact limits, models, extensions and devices', async () => {
    const { api } = await startComfyUiSystem({
      servers: [
        {
          ...{ checkpoints: ['a.safetensors', 'both.safetensors'], embeddings: ['easy'] },
          ...{ extraClasses: nodeClass('OnlyOnA'), device: { name: 'gpu of a' } },
        },
        {
          ...{ checkpoints: ['both.safetensors', 'b.safetensors'], embeddings: ['bad'] },
          ...{ extraClasses: nodeClass('OnlyOnB'), device: { name: 'gpu of b' } },
          extensions: ['/extensions/only-b/y.js'],
        },
      ],
    });
    await until(async () => (await readClass(api, 'OnlyOnB')).length > 2);
    expect(await readClass(api, 'OnlyOnA')).toContain('OnlyOnA');
    expect(await readChoices(api)).toEqual(['a.safetensors', 'both.safetensors', 'b.safetensors']);
    expect(await readClass(api, 'KSampler')).toContain('18446744073709551615');
    expect((await api.get('/embeddings')).json()).toEqual(expect.arrayContaining(['easy', 'bad']));
    expect((await api.get('/extensions')).text).toContain('/extensions/only-b/y.js');
    const { devices } = (await api.get('/system_stats')).json() as { devices: { name: string }[] };
    expect(devices.map(({ name }) => name).sort()).toEqual(['gpu of a', 'gpu of b']);
  }, 60_000);

  test('is refreshed when a server comes back with more than it had', async () => {
    const { api, first } = await startComfyUiSystem();
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
    const { api, first, system } = await startComfyUiSystem();
    const added = await startFakeComfyUi({ extraClasses: nodeClass('Added') });
    await writeFile(system.configFile, tiersLine([first.url, added.url]));
    await until(async () => (await readClass(api, 'Added')).includes('Added'), LONG_MS);
    await writeFile(system.configFile, tiersLine([first.url]));
    await until(async () => (await readClass(api, 'Added')) === '{}', LONG_MS);
    await waitForEnd(api, await post(api, saveImage()));
    expect([await countRuns(first), await countRuns(added)]).toEqual([1, 0]);
  }, 90_000);

  test('POST /free reaches every server', async () => {
    const { api, servers } = await startComfyUiSystem({ servers: [{}, {}, {}] });
    const body = { unload_models: true, free_memory: true };
    expect((await api.post('/free', body)).status).toBe(200);
    for (const server of servers) {
      await until(async () => (await server.state()).frees.length > 0);
      expect((await server.state()).frees[0]).toEqual(body);
    }
  }, 60_000);
});

describe('what can be known before queueing is a 400', () => {
  test('an unknown class, and a value that no server lists', async () => {
    const { api, servers } = await startComfyUiSystem({
      servers: [{ checkpoints: ['a.safetensors'] }, { checkpoints: ['b.safetensors'] }],
    });
    await until(async () => String(await readChoices(api)).includes('b.safetensors'));
    const unknown = { '1': { class_type: 'Nowhere', inputs: {} } };
    const refused = await api.post('/prompt', { prompt: unknown });
    expect(refused.status).toBe(400);
    expect(refused.text).toContain('Nowhere');
    const wrong = await api.post('/prompt', { prompt: withCheckpoint('c.safetensors', 1) });
    expect(wrong.status).toBe(400);
    expect(wrong.json()).toMatchObject({
      node_errors: { '1': { errors: [{ type: 'value_not_in_list' }] } },
    });
    const both = await Promise.all(servers.map((server) => server.state()));
    expect(both.flatMap(({ prompts }) => prompts)).toEqual([]);
  }, 60_000);
});

describe('who gets a job', () => {
  test('the server that has its checkpoint, and among equals the one that used it last', async () => {
    const both = { checkpoints: ['x.safetensors', 'y.safetensors'] };
    const { api, servers } = await startComfyUiSystem({
      servers: [both, both, { checkpoints: ['z.safetensors'] }],
    });
    await until(async () => String(await readChoices(api)).includes('z.safetensors'));
    const run = async (name: string, seed: number): Promise<number> => {
      const before = await Promise.all(servers.map((server) => countRuns(server)));
      await waitForEnd(api, await post(api, withCheckpoint(`${name}.safetensors`, seed)));
      const after = await Promise.all(servers.map((server) => countRuns(server)));
      return after.findIndex((count, n) => count > (before[n] ?? 0));
    };
    expect(await run('z', 0)).toBe(2);
    const x = await run('x', 1);
    for (let seed = 2; seed < 5; seed += 1) expect(await run('x', seed)).toBe(x);
  }, 60_000);

  test('one runs and one waits on each server, however many workers there are', async () => {
    const { api, servers } = await startComfyUiSystem({
      servers: [{}, {}],
      workers: 2,
      env: { WORKER_CONCURRENCY: '4' },
    });
    for (const server of servers) await server.pauseExecution();
    const ids = await Promise.all(Array.from({ length: 10 }, () => post(api, saveImage())));
    const loads = () =>
      Promise.all(servers.map(async (server) => (await readUpstreamIds(server)).length));
    // All eight hands of the workers hold a job; four of them have found a place.
    await until(async () => {
      const queue = (await api.get('/queue')).json() as { queue_running: unknown[] };
      return queue.queue_running.length === 8;
    });
    await until(async () => (await loads()).join() === '2,2');
    for (const server of servers) await server.resume();
    for (const id of ids) await waitForEnd(api, id);
    const states = await Promise.all(servers.map((server) => server.state()));
    expect(states.flatMap(({ prompts }) => prompts)).toHaveLength(10);
  }, 60_000);
});
