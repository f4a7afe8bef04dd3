import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import {
  connectSocket,
  http,
  stopEverything,
  until,
  type FakeComfyUi,
  type RawHttp,
  type TestSystem,
} from '@tiercel/testkit';
import {
  isForgotten,
  readReport,
  readUpstreamIds,
  settle,
  startComfyUiSystem,
  startCounting,
} from './comfyui-system.ts';
import { lastMessage, post, readHistory, saveImage, slow, waitForEnd } from './prompts.ts';

/** Interrupts, deletions, limits and deaths of workers: what becomes of the prompt upstream (issue 3). */

describe('on a server', () => {
  let first: FakeComfyUi;
  let system: TestSystem;
  let api: RawHttp;

  beforeAll(async () => {
    ({ first, system, api } = await startComfyUiSystem());
  });
  beforeEach(() => settle(first));
  afterAll(stopEverything);

  test('an interrupt stops the job it names, not the one that runs before or waits behind it', async () => {
    const countSince = await startCounting(first);
    const [running, waiting] = [await post(api, slow(60, 0.05)), await post(api, slow(2, 0.01))];
    await until(async () => (await readUpstreamIds(first)).length === 2);
    await api.post('/interrupt', { prompt_id: waiting });
    expect(lastMessage(await waitForEnd(api, waiting))[0]).toBe('execution_interrupted');
    expect((await waitForEnd(api, running)).status.status_str).toBe('success');
    expect(await countSince()).toBe(1);

    const [long, next] = [await post(api, slow(200, 0.05)), await post(api, slow(3, 0.01))];
    await until(async () => (await readUpstreamIds(first)).length === 2);
    await api.post('/interrupt', { prompt_id: long });
    expect(lastMessage(await waitForEnd(api, long))[0]).toBe('execution_interrupted');
    expect((await waitForEnd(api, next)).status.status_str).toBe('success');
    await until(() => isForgotten(first));
  }, 60_000);

  test('an interrupt reaches a prompt that is still on its way to the server', async () => {
    const before = (await first.state()).prompts.length;
    await first.answerSlowly(1_500, '^POST /prompt$', 1);
    const id = await post(api, slow(400, 0.05));
    await until(async () => (await first.state()).prompts.length > before);
    await api.post('/interrupt', { prompt_id: id });
    expect(lastMessage(await waitForEnd(api, id))[0]).toBe('execution_interrupted');
    expect(await readUpstreamIds(first)).toEqual([]);
  }, 60_000);

  test('an interrupt is repeated until the server has heard it', async () => {
    const countSince = await startCounting(first);
    await first.ignoreInterrupts(2);
    const id = await post(api, slow(401, 0.05));
    await until(async () => (await countSince()) > 0);
    await api.post('/interrupt', { prompt_id: id });
    expect(lastMessage(await waitForEnd(api, id))[0]).toBe('execution_interrupted');
    await until(async () => (await readUpstreamIds(first)).length === 0);
  }, 60_000);

  test.each([
    ['whatever runs', false, {}],
    ['it by its id there', false, { byId: true }],
    ['it while the server’s socket is silent', true, {}],
  ])(
    'somebody else who interrupts %s interrupts the job',
    async (_, isSilent, { byId = false }: { byId?: boolean }) => {
      const clientId = randomUUID();
      const socket = await connectSocket(system.url, { clientId });
      const countSince = await startCounting(first);
      const id = await post(api, slow(900, 0.05), { client_id: clientId });
      await until(async () => (await countSince()) > 0);
      if (isSilent) await first.dropSocketsSilently();
      const [upstream] = await readUpstreamIds(first);
      await http(first.url).post('/interrupt', byId ? { prompt_id: upstream } : {});
      const [type, data] = lastMessage(await waitForEnd(api, id, 40_000));
      expect([type, data.node_id, data.node_type]).toEqual([
        ...['execution_interrupted', '1', 'SlowPreview'],
      ]);
      await socket.waitForText('execution_interrupted');
      expect(socket.textFrames('execution_error')).toEqual([]);
      expect((await api.get(`/api/jobs/${id}`)).json()).toMatchObject({ status: 'cancelled' });
      expect(await countSince()).toBe(1);
    },
    60_000,
  );

  test('a job that is deleted while it waits is never seen by a server', async () => {
    const countSince = await startCounting(first);
    await first.pauseExecution();
    const ahead = [await post(api, saveImage()), await post(api, saveImage())];
    await until(async () => (await readUpstreamIds(first)).length === 2);
    const more = await Promise.all(Array.from({ length: 3 }, () => post(api, saveImage())));
    await api.post('/queue', { delete: [more[2]] });
    await first.resume();
    for (const id of [...ahead, ...more.slice(0, 2)]) await waitForEnd(api, id);
    expect(await readHistory(api, String(more[2]))).toBeUndefined();
    expect(await countSince()).toBe(4);
  }, 60_000);
});

describe('a job without a sign of life within its limit', () => {
  afterEach(stopEverything);

  test('is stopped there, and the next tier asked', async () => {
    const { api, first } = await startComfyUiSystem({
      timeoutMs: 2_000,
      moreTiers: '{ name: local, driver: embedded }',
    });
    await first.pauseExecution();
    const id = await post(api, saveImage());
    await waitForEnd(api, id);
    expect(
      (await readReport(api, id)).attempts.map((attempt) => [attempt.tier, attempt.class]),
    ).toEqual([
      ['gpu', 'timeout'],
      ['local', 'ok'],
    ]);
    await until(async () => (await readUpstreamIds(first)).length === 0);
  }, 60_000);
});
