import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { stopEverything, until, type FakeComfyUi, type RawHttp } from '@tiercel/testkit';
import { readUpstreamIds, settle, startComfyUiSystem, startCounting } from './comfyui-system.ts';
import { post, saveImage, slow, waitForEnd } from './prompts.ts';

/** A server that loses, garbles and forgets what it is told (issue 3). */

let first: FakeComfyUi;
let api: RawHttp;

beforeAll(async () => {
  ({ first, api } = await startComfyUiSystem());
});
beforeEach(() => settle(first));
afterAll(stopEverything);

const LONG_MS = 40_000;

describe('a socket', () => {
  test('that drops loses nothing: the truth is read from queue and history', async () => {
    const countSince = await startCounting(first);
    const id = await post(api, slow(20, 0.05));
    await until(async () => (await countSince()) > 0);
    await first.closeSockets();
    expect((await waitForEnd(api, id)).status.status_str).toBe('success');
    expect(await countSince()).toBe(1);
  });

  test('that goes silent in the middle costs frames, not the job', async () => {
    const countSince = await startCounting(first);
    const id = await post(api, slow(21, 0.05));
    await until(async () => (await countSince()) > 0);
    await first.dropSocketsSilently();
    expect((await waitForEnd(api, id, LONG_MS)).status.status_str).toBe('success');
    expect(await countSince()).toBe(1);
  }, 90_000);

  test('that drops while the job ends loses no output: history tells what was missed', async () => {
    const countSince = await startCounting(first);
    const graph = {
      ...slow(22, 0.05),
      3: { class_type: 'PreviewAny', inputs: { source: ['1', 0] } },
    };
    const id = await post(api, graph);
    await until(async () => (await countSince()) > 0);
    await first.dropSocketsSilently();
    const { outputs } = await waitForEnd(api, id, LONG_MS);
    expect(Object.keys(outputs).sort()).toEqual(['2', '3']);
  }, 90_000);

  test('that sends garbage is not believed and not given up', async () => {
    const countSince = await startCounting(first);
    const id = await post(api, slow(23, 0.05));
    await until(async () => (await countSince()) > 0);
    await first.sendGarbage({ kind: 'text' });
    await first.sendGarbage({ kind: 'binary' });
    expect((await waitForEnd(api, id, LONG_MS)).status.status_str).toBe('success');
    expect(await countSince()).toBe(1);
  }, 90_000);
});

describe('a server', () => {
  test('that takes a prompt and does not say so is asked for it, and not sent it again', async () => {
    const countSince = await startCounting(first);
    await first.swallowPromptAnswer();
    const item = await waitForEnd(api, await post(api, saveImage()));
    expect(item.status.status_str).toBe('success');
    expect(await countSince()).toBe(1);
  });

  test('that has lost its history and the frames runs the job again', async () => {
    const countSince = await startCounting(first);
    const id = await post(api, slow(24, 0.05));
    await until(async () => (await countSince()) > 0);
    await first.dropSocketsSilently();
    await until(async () => (await readUpstreamIds(first)).length === 0);
    await first.loseHistory();
    expect((await waitForEnd(api, id, LONG_MS)).status.status_str).toBe('success');
    expect(await countSince()).toBe(2);
  }, 90_000);

  test('that was restarted and has forgotten the prompt runs it again', async () => {
    const countSince = await startCounting(first);
    const id = await post(api, slow(25, 0.05));
    await until(async () => (await countSince()) > 0);
    await first.restart();
    expect((await waitForEnd(api, id, LONG_MS)).status.status_str).toBe('success');
    expect(await countSince()).toBe(2);
  }, 90_000);

  test('that answers everything slowly, or cuts an answer short, serves all the same', async () => {
    const countSince = await startCounting(first);
    await first.answerSlowly(700, '');
    const slowly = await waitForEnd(api, await post(api, saveImage()), LONG_MS);
    expect([slowly.status.status_str, await countSince()]).toEqual(['success', 1]);
    await first.reset();
    await first.sendGarbage({ kind: 'truncated', path: '^GET /view' }, 1);
    const cut = await waitForEnd(api, await post(api, saveImage()), LONG_MS);
    expect(cut.status.status_str).toBe('success');
  }, 90_000);

  test('that answers a prompt with a page is not believed: nothing runs twice', async () => {
    const countSince = await startCounting(first);
    await first.sendGarbage({ kind: 'html' }, 1);
    const item = await waitForEnd(api, await post(api, saveImage()), LONG_MS);
    expect([item.status.status_str, await countSince()]).toEqual(['success', 1]);
  }, 90_000);
});
