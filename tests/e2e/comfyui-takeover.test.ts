import { afterEach, describe, expect, test } from '@jest/globals';
import { startWorker, stopEverything, until } from '@tiercel/testkit';
import { countRuns, readUpstreamIds, startComfyUiSystem } from './comfyui-system.ts';
import { lastMessage, post, slow, waitForEnd } from './prompts.ts';

/** What becomes of a prompt on a ComfyUI server when the worker that sent it dies (issue 3). */

const SHORT_LOCK = 'queue: { lockMs: 1000 }\n';

describe('a worker that is killed', () => {
  afterEach(stopEverything);

  test('leaves a prompt that runs on: the next worker waits for its end there', async () => {
    const { api, first, system } = await startComfyUiSystem({ config: SHORT_LOCK });
    const id = await post(api, slow(60, 0.05));
    await until(async () => (await countRuns(first)) > 0);
    await system.workers[0]?.kill9();
    await startWorker(system.options);
    expect((await waitForEnd(api, id, 40_000)).status.status_str).toBe('success');
    expect(await countRuns(first)).toBe(1);
  }, 60_000);

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
