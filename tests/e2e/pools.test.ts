import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import {
  http,
  makeTempFolder,
  startSystem,
  startWorker,
  stopEverything,
  until,
  type RawHttp,
  type SpawnedProcess,
  type TestSystem,
} from '@tiercel/testkit';
import { lastMessage, post, waitForEnd } from './prompts.ts';

/** Real workers with other nodes each: jobs go to those that can run them, and wait for those that cannot be found. */

afterEach(stopEverything);

/** A folder of plug-ins with a node of each class: it takes a while, and gives a picture of one pixel. */
function makeNodes(...classes: readonly string[]): string {
  const folder = join(makeTempFolder(), 'nodes');
  mkdirSync(folder);
  for (const name of classes) {
    writeFileSync(
      join(folder, `${name.toLowerCase()}.mjs`),
      `export default ({ createImage }) => [{
        class_type: ${JSON.stringify(name)},
        input: { required: { n: ['INT', { default: 0 }], ms: ['INT', { default: 0, max: 60000 }] } },
        output: ['IMAGE'],
        run: async (inputs, { signal }) => {
          await new Promise((resolve) => {
            setTimeout(resolve, inputs.ms);
            signal.addEventListener('abort', resolve);
          });
          return { outputs: [createImage({ width: 1, height: 1 })] };
        },
      }];`,
    );
  }
  return folder;
}

let count = 0;
const prompt = (classType: string, ms = 0): object => ({
  '1': { class_type: classType, inputs: { n: (count += 1), ms } },
  '2': { class_type: 'PreviewImage', inputs: { images: ['1', 0] } },
});

async function startWith(...folders: readonly string[]) {
  const system = await startSystem({ workers: 0 });
  const workers: SpawnedProcess[] = [];
  for (const folder of folders) workers.push(await add(system, folder));
  const api = http(system.url);
  return { system, workers, api };
}

const add = (system: TestSystem, folder: string, env: Record<string, string> = {}) =>
  startWorker({ ...system.options, env: { NODES_DIR: folder, WORKER_CONCURRENCY: '1', ...env } });

const knows = async (api: RawHttp, classType: string): Promise<void> => {
  await until(async () => (await api.get(`/object_info/${classType}`)).text !== '{}');
};
const readJob = async (api: RawHttp, id: string): Promise<{ status: string; tiercel?: object }> =>
  (await api.get(`/api/jobs/${id}`)).json() as unknown as { status: string; tiercel?: object };

describe('workers with other nodes', () => {
  test('each run what they can, whoever is idle', async () => {
    const { api } = await startWith(makeNodes('OnlyA', 'Both'), makeNodes('OnlyB', 'Both'));
    for (const name of ['OnlyA', 'OnlyB']) await knows(api, name);
    const ids: string[] = [];
    for (let n = 0; n < 6; n += 1) {
      for (const name of ['OnlyA', 'OnlyB', 'Both']) ids.push(await post(api, prompt(name)));
    }
    for (const id of ids) {
      const item = await waitForEnd(api, id);
      expect([id, item.status.status_str, lastMessage(item)[1]]).toEqual([
        ...[id, 'success', expect.anything()],
      ]);
    }
    // A permit that went to the wrong worker keeps no job waiting until somebody looks.
    const startedAt = performance.now();
    for (const name of ['OnlyA', 'OnlyB', 'OnlyA', 'OnlyB']) {
      await waitForEnd(api, await post(api, prompt(name)));
    }
    expect(performance.now() - startedAt).toBeLessThan(2_000);
  });

  test('a prompt that no worker can run is refused, and says why', async () => {
    const { api } = await startWith(makeNodes('OnlyA'), makeNodes('OnlyB'));
    for (const name of ['OnlyA', 'OnlyB']) await knows(api, name);
    const two = {
      ...prompt('OnlyA'),
      '3': { class_type: 'OnlyB', inputs: { n: 1, ms: 0 } },
      '4': { class_type: 'PreviewImage', inputs: { images: ['3', 0] } },
    };
    const answer = await api.post('/prompt', { prompt: two });
    expect([answer.status, answer.json()]).toMatchObject([
      400,
      { error: { type: 'no_worker_for_job' } },
    ]);
  });

  test('a job whose worker dies waits, says so, and is run by the next that can', async () => {
    const { api, system, workers } = await startWith(makeNodes('OnlyA'), makeNodes('OnlyB'));
    for (const name of ['OnlyA', 'OnlyB']) await knows(api, name);
    const under = await post(api, prompt('OnlyA', 60_000), { client_id: 'c' });
    await until(async () => (await readJob(api, under)).status === 'in_progress');
    const waiting = await post(api, prompt('OnlyA'));
    await workers[0]!.kill9();
    // Its permit comes to the worker that cannot run it.
    await until(async () => (await readJob(api, under)).status === 'pending', 40_000);
    await until(async () => (await readJob(api, waiting)).tiercel !== undefined, 40_000);
    expect(await readJob(api, waiting)).toMatchObject({
      status: 'pending',
      tiercel: { waiting_for: 'worker' },
    });
    // Others do not wait, neither do others of its client; more of its kind are accepted.
    const others = [
      await post(api, prompt('OnlyB')),
      await post(api, prompt('OnlyB'), { client_id: 'c' }),
    ];
    for (const id of others) expect((await waitForEnd(api, id)).status.status_str).toBe('success');
    const late = await post(api, prompt('OnlyA'));
    await api.post('/queue', { delete: [under] });
    await add(system, makeNodes('OnlyA'));
    for (const id of [waiting, late]) {
      expect((await waitForEnd(api, id)).status.status_str).toBe('success');
    }
    expect(await readJob(api, waiting)).not.toMatchObject({ tiercel: { waiting_for: 'worker' } });
  }, 120_000);
});

/** The same pools, and the one that a worker is in. */
function writeConfig(pools: string, pool: string): string {
  const file = join(makeTempFolder(), 'tiercel.config.yaml');
  writeFileSync(file, `${pools}worker: { pool: ${pool} }\n`);
  return file;
}

describe('a pool', () => {
  test('runs the graphs that it is for, and only its own tiers', async () => {
    const { api, system } = await startWith();
    const nodes = makeNodes('Video', 'Still');
    const pools =
      `pools: { video: { nodes: ['Vid*'], tiers: [local] }, default: { nodes: ['Still'] } }\n` +
      'tiers: [{ name: local, driver: embedded }]\n';
    const start = (pool: string): Promise<SpawnedProcess> =>
      startWorker({
        ...system.options,
        configFile: writeConfig(pools, pool),
        env: { NODES_DIR: nodes, WORKER_CONCURRENCY: '1' },
      });
    await start('default');
    await knows(api, 'Still');
    const refused = await api.post('/prompt', { prompt: prompt('Video') });
    expect(refused.status).toBe(400);
    const video = await start('video');
    await until(
      async () => (await api.post('/prompt', { prompt: prompt('Video') })).status === 200,
    );
    for (const name of ['Video', 'Still', 'Video']) {
      const item = await waitForEnd(api, await post(api, prompt(name)));
      expect(item.status.status_str).toBe('success');
    }
    await video.stop();
    const id = await post(api, prompt('Video'));
    await until(async () => (await readJob(api, id)).tiercel !== undefined);
    await start('video');
    expect((await waitForEnd(api, id)).status.status_str).toBe('success');
  });

  test('is changed and drained by an administrator while it runs', async () => {
    const pools = "pools: { video: { nodes: ['Only*'] } }\n";
    const system = await startSystem({ workers: 0, configYaml: pools });
    const api = http(system.url);
    const start = (pool: string, ...classes: readonly string[]): Promise<SpawnedProcess> =>
      startWorker({
        ...{ ...system.options, configFile: writeConfig(pools, pool) },
        env: { NODES_DIR: makeNodes(...classes), WORKER_CONCURRENCY: '1' },
      });
    await start('default', 'Both');
    await start('video', 'OnlyV', 'Both');
    const answersTo = async (classType: string): Promise<number> =>
      (await api.post('/prompt', { prompt: prompt(classType) })).status;
    const send = async (method: string, path: string, body?: object) => {
      const answer = await fetch(`${system.url}/admin/v1${path}`, {
        ...{ method, headers: { 'content-type': 'application/json' } },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return { status: answer.status, text: await answer.text() };
    };
    await until(async () => (await answersTo('OnlyV')) === 200);

    const put = await send('PUT', '/pools/video', { nodes: ['Both'] });
    expect(JSON.parse(put.text)).toMatchObject({
      ...{ file: { nodes: ['Only*'] }, override: { nodes: ['Both'] } },
      ...{ effective: { nodes: ['Both'] }, workers: 1 },
    });
    await until(async () => (await answersTo('OnlyV')) === 400);
    for (const wrong of [{ nodes: [] }, { tiers: ['nowhere'] }, { colour: 'red' }]) {
      expect((await send('PUT', '/pools/video', wrong)).status).toBe(400);
    }
    expect((await send('DELETE', '/pools/video')).status).toBe(204);
    await until(async () => (await answersTo('OnlyV')) === 200);

    const running = await post(api, prompt('OnlyV', 3_000));
    await until(async () => (await readJob(api, running)).status === 'in_progress');
    const waiting = await post(api, prompt('OnlyV'));
    const drained = await send('POST', '/queue/drain', { pool: 'video' });
    expect(JSON.parse(drained.text)).toMatchObject({
      pools: [{ name: 'default' }, { name: 'video', effective: { drain: true } }],
    });
    // What they say of it may be five seconds old.
    expect((await api.get('/metrics')).text).toContain('comfy_pool_running{pool="video",');
    expect((await waitForEnd(api, running)).status.status_str).toBe('success');
    await until(async () => (await readJob(api, waiting)).tiercel !== undefined);
    await until(async () => (await answersTo('OnlyV')) === 400);
    // What another pool can run is not concerned.
    const both = await post(api, prompt('Both'));
    expect((await waitForEnd(api, both)).status.status_str).toBe('success');
    expect((await readJob(api, waiting)).status).toBe('pending');
    await send('POST', '/queue/resume', { pool: 'video' });
    expect((await waitForEnd(api, waiting)).status.status_str).toBe('success');
  });
});
