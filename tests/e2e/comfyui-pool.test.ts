import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { stopEverything, until, type FakeComfyUi, type RawHttp } from '@tiercel/testkit';
import { readUpstreamIds, startComfyUiSystem, startCounting } from './comfyui-system.ts';
import { post, saveImage, slow, waitForEnd } from './prompts.ts';

/** Several servers as one: who gets which job (issue 3). */

const withCheckpoint = (name: string, seed: number) => ({
  '1': { class_type: 'CheckpointLoaderSimple', inputs: { ckpt_name: name } },
  '2': { class_type: 'CLIPTextEncode', inputs: { text: `fox ${seed}`, clip: ['1', 1] } },
  '3': { class_type: 'PreviewAny', inputs: { source: ['2', 0] } },
});

describe('a job goes to', () => {
  let servers: readonly FakeComfyUi[];
  let api: RawHttp;

  beforeAll(async () => {
    const both = { checkpoints: ['x.safetensors', 'y.safetensors'] };
    ({ servers, api } = await startComfyUiSystem({
      servers: [both, both, { checkpoints: ['z.safetensors'] }],
    }));
    await until(async () =>
      (await api.get('/object_info/CheckpointLoaderSimple')).text.includes('z.safetensors'),
    );
  });
  afterAll(stopEverything);

  test('the server with the least to do: every one is kept busy', async () => {
    const counts = await Promise.all(servers.map((server) => startCounting(server)));
    const ids = await Promise.all(Array.from({ length: 12 }, () => post(api, slow(4, 0.05))));
    for (const id of ids) await waitForEnd(api, id);
    const runs = await Promise.all(counts.map((countSince) => countSince()));
    expect(Math.min(...runs)).toBeGreaterThan(0);
  });

  test('the one server that has its checkpoint', async () => {
    const countSince = await startCounting(...servers.slice(2));
    await waitForEnd(api, await post(api, withCheckpoint('z.safetensors', 0)));
    expect(await countSince()).toBe(1);
  });

  test('among equals, the server that used its checkpoint last', async () => {
    const [first, second] = servers as [FakeComfyUi, FakeComfyUi];
    // x goes to the second server because y keeps the first one busy.
    await first.pauseExecution();
    const blocker = await post(api, withCheckpoint('y.safetensors', 1));
    await until(async () => (await readUpstreamIds(first)).length === 1);
    await waitForEnd(api, await post(api, withCheckpoint('x.safetensors', 2)));
    await first.resume();
    await waitForEnd(api, blocker);
    const countSince = await startCounting(second);
    for (const seed of [3, 4]) {
      await waitForEnd(api, await post(api, withCheckpoint('x.safetensors', seed)));
    }
    expect(await countSince()).toBe(2);
  });
});

describe('places', () => {
  afterEach(stopEverything);

  test('are one that runs and one that waits on each server, however many workers there are', async () => {
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
