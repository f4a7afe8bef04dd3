import { writeFile } from 'node:fs/promises';
import { afterEach, describe, expect, test } from '@jest/globals';
import {
  connectSocket,
  startFakeComfyUi,
  startWorker,
  stopEverything,
  until,
  type FakeComfyUi,
} from '@tiercel/testkit';
import { countRuns, isIdleAfter, startComfyUiSystem, tiersLine } from './comfyui-system.ts';
import { lastMessage, post, readHistory, saveImage, slow, waitForEnd } from './prompts.ts';

/** The ComfyUI tier against servers that fail in every way (issue 3). */

afterEach(stopEverything);

interface Data {
  readonly prompt_id?: string;
}

/** Whether the server's history was freed of every prompt it took. */
async function isForgotten(server: FakeComfyUi): Promise<boolean> {
  const { prompts, historyDeletes } = await server.state();
  return prompts.every(({ promptId }) => historyDeletes.flat().includes(promptId));
}

describe('a job on a ComfyUI server', () => {
  test('runs there, its frames come with our ids, its picture is ours under a fresh name', async () => {
    const { system, api, first } = await startComfyUiSystem();
    const socket = await connectSocket(system.url, {
      clientId: 'c',
      featureFlags: { supports_preview_metadata: true },
    });
    const id = await post(api, slow(4, 0.03), { client_id: 'c', prompt_id: 'not-a-uuid' });
    await socket.waitForText('executing', isIdleAfter(id));
    const types = socket
      .textFrames()
      .filter((f) => (f.data as Data).prompt_id === id)
      .map((f) => f.type);
    expect(types[0]).toBe('execution_start');
    expect(types.filter((type) => type === 'progress')).toHaveLength(4);
    expect(types.slice(-2)).toEqual(['execution_success', 'executing']);
    expect(socket.frames.filter((frame) => frame.kind === 'preview')).toHaveLength(4);
    const item = (await readHistory(api, id))!;
    const [image] = Object.values(item.outputs)[0]!.images;
    const view = await api.get(`/view?filename=${image!.filename}&type=${image!.type}`);
    expect([view.status, view.headers['content-type']]).toEqual([200, 'image/png']);
    const { prompts } = await first.state();
    expect(prompts).toHaveLength(1);
    expect(JSON.stringify(prompts)).toMatch(/[0-9a-f]{8}-[0-9a-f]{4}-4/);
    await until(() => isForgotten(first));
  });

  test('runs only the outputs that the caller asked for', async () => {
    const { api } = await startComfyUiSystem();
    const preview = { class_type: 'PreviewImage', inputs: { images: ['1', 0] } };
    const prompt = { ...saveImage(), '3': preview };
    const id = await post(api, prompt, { partial_execution_targets: ['2'] });
    expect(Object.keys((await waitForEnd(api, id)).outputs)).toEqual(['2']);
  });

  test('fails as it failed there, with node, type, message and traceback', async () => {
    const { api, first } = await startComfyUiSystem();
    const [type, data] = lastMessage(await waitForEnd(api, await post(api, slow(4, 0.01, 2))));
    expect(type).toBe('execution_error');
    expect(data).toMatchObject({
      node_id: '1',
      node_type: 'SlowPreview',
      exception_type: 'RuntimeError',
    });
    expect(data.traceback).not.toEqual([]);
    await until(() => isForgotten(first));
  });

  test('is interrupted on its server, and only it', async () => {
    const { api, first } = await startComfyUiSystem();
    const id = await post(api, slow(200, 0.05), { client_id: 'a' });
    await until(async () => (await countRuns(first)) > 0);
    await api.post('/interrupt', { prompt_id: id });
    const [type] = lastMessage(await waitForEnd(api, id));
    expect(type).toBe('execution_interrupted');
    await until(() => isForgotten(first));
    const next = await waitForEnd(api, await post(api, saveImage()));
    expect(next.status.status_str).toBe('success');
  });

  test('is interrupted on its server also while the answer to its submit is under way', async () => {
    const { api, first } = await startComfyUiSystem();
    await first.answerSlowly(2_000, 'POST /prompt');
    const id = await post(api, slow(400, 0.05));
    await until(async () => (await countRuns(first)) > 0);
    await api.post('/interrupt', { prompt_id: id });
    expect(lastMessage(await waitForEnd(api, id))[0]).toBe('execution_interrupted');
    const { prompts, interrupts } = await first.state();
    expect(interrupts).toContain(prompts.at(-1)?.promptId);
  });
});

describe('when a server fails', () => {
  test('an uncertain submit is looked up, never repeated', async () => {
    const { api, first } = await startComfyUiSystem();
    await first.swallowPromptAnswer();
    const item = await waitForEnd(api, await post(api, saveImage()));
    expect(item.status.status_str).toBe('success');
    expect(await countRuns(first)).toBe(1);
  });

  test('a dropped socket loses nothing: the truth is read from queue and history', async () => {
    const { api, first } = await startComfyUiSystem();
    const id = await post(api, slow(20, 0.05));
    await until(async () => (await countRuns(first)) > 0);
    await first.closeSockets();
    expect((await waitForEnd(api, id)).status.status_str).toBe('success');
    expect(await countRuns(first)).toBe(1);
  });

  test('a server that dies in the middle: another one of the pool runs the job', async () => {
    const { api, servers } = await startComfyUiSystem({ servers: [{}, {}] });
    const id = await post(api, slow(30, 0.05));
    const busy = await until(async () => {
      for (const server of servers) if ((await countRuns(server)) > 0) return server;
      return undefined;
    });
    await busy.kill9();
    expect((await waitForEnd(api, id, 40_000)).status.status_str).toBe('success');
  }, 60_000);

  test('a worker killed in the middle: the next one goes on with the prompt that runs there', async () => {
    const { api, first, system } = await startComfyUiSystem({ config: 'queue: { lockMs: 1000 }' });
    const id = await post(api, slow(60, 0.05));
    await until(async () => (await countRuns(first)) > 0);
    await system.workers[0]!.kill9();
    await startWorker(system.options);
    expect((await waitForEnd(api, id, 40_000)).status.status_str).toBe('success');
    expect(await countRuns(first)).toBe(1);
  }, 60_000);

  test('out of memory on the only tier ends in an error that says so', async () => {
    const { api, first } = await startComfyUiSystem();
    await first.outOfMemory();
    const [type, data] = lastMessage(await waitForEnd(api, await post(api, saveImage()), 40_000));
    expect(type === 'execution_success' || String(data.exception_message).includes('memory')).toBe(
      true,
    );
  }, 60_000);

  test('what only the server refuses is told with its reasons and tried nowhere else', async () => {
    const { api, first } = await startComfyUiSystem();
    await first.rejectPrompts({
      error: {
        type: 'prompt_outputs_failed_validation',
        message: 'Prompt outputs failed validation',
        details: '',
        extra_info: {},
      },
      node_errors: {
        '1': {
          errors: [
            {
              type: 'custom_validation_failed',
              message: 'Custom validation failed for node',
              details: 'width - too odd',
              extra_info: {},
            },
          ],
          dependent_outputs: ['2'],
          class_type: 'EmptyImage',
        },
      },
    });
    const [type, data] = lastMessage(await waitForEnd(api, await post(api, saveImage())));
    expect([type, data.node_id]).toEqual(['execution_error', '1']);
    expect(data.exception_message).toContain('too odd');
  });
});

describe('a pool', () => {
  test('takes in and lets go of servers while it runs', async () => {
    const { api, first, system } = await startComfyUiSystem();
    const second = await startFakeComfyUi({ name: 'second' });
    await writeFile(system.configFile, tiersLine([second.url]));
    await until(async () => (await second.state()).sockets.length > 0, 20_000);
    const before = await countRuns(first);
    for (let n = 0; n < 3; n += 1) await waitForEnd(api, await post(api, saveImage()));
    expect([await countRuns(first), await countRuns(second)]).toEqual([before, 3]);
  }, 60_000);

  test('spreads jobs over its servers and keeps every one busy', async () => {
    const { api, servers } = await startComfyUiSystem({ servers: [{}, {}, {}] });
    const started = Date.now();
    const ids = await Promise.all(Array.from({ length: 12 }, () => post(api, slow(4, 0.05))));
    for (const id of ids) await waitForEnd(api, id);
    const runs = await Promise.all(servers.map((server) => countRuns(server)));
    expect(Math.min(...runs)).toBeGreaterThan(0);
    expect(Date.now() - started).toBeLessThan(30_000);
  });
});
