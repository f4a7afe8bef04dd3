import { afterEach, describe, expect, test } from '@jest/globals';
import { readPngText } from '@tiercel/pictures';
import {
  connectSocket,
  startWorker,
  stopEverything,
  until,
  type EventRecorder,
} from '@tiercel/testkit';
import { makeFile, upload, view, type StoredFile } from './comfyui-files.ts';
import { countRuns, isIdleAfter, readUpstreamIds, startComfyUiSystem } from './comfyui-system.ts';
import { lastMessage, post, slow, waitForEnd } from './prompts.ts';

/** What becomes of a prompt on a ComfyUI server when the worker that sent it dies (issue 3). */

const SHORT_LOCK = 'queue: { lockMs: 2500 }\n';

/** The last step of the sampler that a socket was told. */
function lastStep(socket: EventRecorder): number {
  const { data } = socket.textFrames('progress').at(-1) ?? {};
  return (data as { value: number } | undefined)?.value ?? 0;
}

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

  test('leaves prompts whose clients see them go on, the running one and the one behind it', async () => {
    const { api, first, system } = await startComfyUiSystem({ config: SHORT_LOCK });
    const [one, other] = await Promise.all(
      ['one', 'other'].map((clientId) => connectSocket(system.url, { clientId })),
    );
    await post(api, slow(200, 0.05), { client_id: 'one' });
    await one!.waitForText('progress');
    const behind = await post(api, slow(20, 0.05), { client_id: 'other' });
    await until(async () => (await readUpstreamIds(first)).length === 2);
    await system.workers[0]?.kill9();
    const seen = lastStep(one!);
    await startWorker(system.options);
    const goesOn = (data: unknown) => (data as { value: number }).value > seen + 1;
    await one!.waitForText('progress', goesOn, 20_000);
    const before = one!.frames.length;
    await until(() => one!.frames.slice(before).some(({ kind }) => kind === 'preview'));
    await other!.waitForText('progress', undefined, 20_000);
    await other!.waitForText('executing', isIdleAfter(behind), 20_000);
    expect(await countRuns(first)).toBe(2);
  }, 90_000);

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

  test('leaves pictures of a prompt with files: the next worker stores them with the caller’s names', async () => {
    const { api, first, system } = await startComfyUiSystem({ config: SHORT_LOCK });
    const image = await upload(system, makeFile('png'), 'mine.png');
    const prompt = {
      ...slow(30, 0.05),
      load: { class_type: 'LoadImage', inputs: { image } },
      save: { class_type: 'SaveImage', inputs: { images: ['load', 0], filename_prefix: 'x' } },
    };
    const id = await post(api, prompt);
    await until(async () => (await countRuns(first)) > 0);
    await system.workers[0]?.kill9();
    await startWorker(system.options);
    const [file] = (await waitForEnd(api, id, 40_000)).outputs.save?.images ?? [];
    const texts = readPngText(await view(api, file as StoredFile));
    expect(JSON.parse(texts.get('prompt') ?? '')).toEqual(prompt);
    expect(await countRuns(first)).toBe(1);
  }, 90_000);

  test.each([
    ['before it listens to the prompt', false],
    ['while it listens to the prompt', true],
  ])(
    'and whose successor is killed too, %s, gets its own prompt back when it was only asleep',
    async (_, listens) => {
      const { api, first, system } = await startComfyUiSystem({ config: SHORT_LOCK });
      const socket = await connectSocket(system.url, { clientId: 'one' });
      const starts = () => socket.textFrames('execution_start').length;
      const goesOn = () => {
        const seen = lastStep(socket);
        return socket.waitForText('progress', (data) => (data as { value: number }).value > seen);
      };
      const id = await post(api, slow(400, 0.05), { client_id: 'one' });
      await socket.waitForText('progress');
      const [sleeper] = system.workers;
      sleeper!.signal('SIGSTOP');
      const successor = await startWorker(system.options);
      await until(() => starts() === 2);
      if (listens) await goesOn();
      await successor.kill9();
      sleeper!.signal('SIGCONT');
      await until(() => starts() === 3);
      // It hears what becomes of the prompt, as before.
      for (let times = 0; times < 2; times += 1) await goesOn();
      expect((await waitForEnd(api, id, 40_000)).status.status_str).toBe('success');
      expect(await countRuns(first)).toBe(1);
      expect(socket.textFrames('execution_success')).toHaveLength(1);
    },
    90_000,
  );

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
