import { afterEach, describe, expect, test } from '@jest/globals';
import { startWorker, stopEverything, until } from '@tiercel/testkit';
import { countRuns, readReport, readUpstreamIds, startComfyUiSystem } from './comfyui-system.ts';
import { lastMessage, post, readHistory, saveImage, slow, waitForEnd } from './prompts.ts';

/** Interrupts, deletions, limits and deaths of workers: what becomes of the prompt upstream (issue 3). */

afterEach(stopEverything);

const SHORT_LOCK = 'queue: { lockMs: 1000 }\n';

describe('an interrupt', () => {
  test('stops the job it names, not the one that runs before or waits behind it', async () => {
    const { api, first } = await startComfyUiSystem();
    const [running, waiting] = [await post(api, slow(60, 0.05)), await post(api, slow(2, 0.01))];
    await until(async () => (await readUpstreamIds(first)).length === 2);
    await api.post('/interrupt', { prompt_id: waiting });
    expect(lastMessage(await waitForEnd(api, waiting))[0]).toBe('execution_interrupted');
    expect((await waitForEnd(api, running)).status.status_str).toBe('success');
    expect(await countRuns(first)).toBe(1);

    const [long, next] = [await post(api, slow(200, 0.05)), await post(api, slow(2, 0.01))];
    await until(async () => (await readUpstreamIds(first)).length === 2);
    await api.post('/interrupt', { prompt_id: long });
    expect(lastMessage(await waitForEnd(api, long))[0]).toBe('execution_interrupted');
    expect((await waitForEnd(api, next)).status.status_str).toBe('success');
  }, 60_000);

  test('reaches a prompt that is still on its way to the server', async () => {
    const { api, first } = await startComfyUiSystem();
    await first.answerSlowly(1_500, '^POST /prompt$', 1);
    const id = await post(api, slow(400, 0.05));
    await until(async () => (await first.state()).prompts.length > 0);
    await api.post('/interrupt', { prompt_id: id });
    expect(lastMessage(await waitForEnd(api, id))[0]).toBe('execution_interrupted');
    expect(await readUpstreamIds(first)).toEqual([]);
  }, 60_000);

  test('is repeated until the server has heard it', async () => {
    const { api, first } = await startComfyUiSystem();
    await first.ignoreInterrupts(2);
    const id = await post(api, slow(400, 0.05));
    await until(async () => (await countRuns(first)) > 0);
    await api.post('/interrupt', { prompt_id: id });
    expect(lastMessage(await waitForEnd(api, id))[0]).toBe('execution_interrupted');
    await until(async () => (await readUpstreamIds(first)).length === 0);
  }, 60_000);
});

test('a job that is deleted while it waits is never seen by a server', async () => {
  const { api, first } = await startComfyUiSystem();
  await first.pauseExecution();
  const ahead = [await post(api, saveImage()), await post(api, saveImage())];
  await until(async () => (await readUpstreamIds(first)).length === 2);
  const more = await Promise.all(Array.from({ length: 3 }, () => post(api, saveImage())));
  await api.post('/queue', { delete: [more[2]] });
  await first.resume();
  for (const id of [...ahead, ...more.slice(0, 2)]) await waitForEnd(api, id);
  expect(await readHistory(api, String(more[2]))).toBeUndefined();
  expect(await countRuns(first)).toBe(4);
}, 60_000);

test('a job without a sign of life within its limit is stopped there, and the next tier asked', async () => {
  const { api, first } = await startComfyUiSystem({
    timeoutMs: 2_000,
    moreTiers: '{ name: local, driver: embedded }',
  });
  await first.pauseExecution();
  const id = await post(api, saveImage());
  await waitForEnd(api, id);
  expect((await readReport(api, id)).attempts.map(({ tier, outcome }) => [tier, outcome])).toEqual([
    ['gpu', 'timeout'],
    ['local', 'ok'],
  ]);
  await until(async () => (await readUpstreamIds(first)).length === 0);
}, 60_000);

describe('a worker that is killed', () => {
  test('leaves a prompt that ends without it: the next worker brings its outputs home', async () => {
    const { api, first, system } = await startComfyUiSystem({ config: SHORT_LOCK });
    const id = await post(api, slow(30, 0.05));
    await until(async () => (await countRuns(first)) > 0);
    await system.workers[0]?.kill9();
    await until(async () => (await readUpstreamIds(first)).length === 0);
    await startWorker(system.options);
    const item = await waitForEnd(api, id, 40_000);
    expect(item.status.status_str).toBe('success');
    const [image] = item.outputs['2']?.images ?? [];
    const file = await api.get(`/view?filename=${image?.filename ?? ''}&type=temp`);
    expect([file.status, await countRuns(first)]).toEqual([200, 1]);
  }, 90_000);

  test('leaves a prompt that is interrupted meanwhile: the next worker stops it there', async () => {
    const { api, first, system } = await startComfyUiSystem({ config: SHORT_LOCK });
    const id = await post(api, slow(1_000, 0.05));
    await until(async () => (await countRuns(first)) > 0);
    await system.workers[0]?.kill9();
    await api.post('/interrupt', { prompt_id: id });
    await startWorker(system.options);
    expect(lastMessage(await waitForEnd(api, id, 40_000))[0]).toBe('execution_interrupted');
    await until(async () => (await readUpstreamIds(first)).length === 0);
  }, 90_000);
});
