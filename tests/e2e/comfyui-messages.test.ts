import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  connectSocket,
  stopEverything,
  until,
  type EventRecorder,
  type FakeComfyUi,
  type RawHttp,
  type TestSystem,
} from '@tiercel/testkit';
import { run } from './comfyui-files.ts';
import { startComfyUiSystem } from './comfyui-system.ts';
import { post, slow, waitForEnd, waitForRunning } from './prompts.ts';

let system: TestSystem;
let first: FakeComfyUi;
let api: RawHttp;

beforeAll(async () => {
  // Two workers, each with a socket of its own, hear what the one server sends to everybody.
  ({ system, first, api } = await startComfyUiSystem({ workers: 2 }));
});
afterAll(stopEverything);

describe('what extensions send', () => {
  test('messages and texts reach exactly the job’s client, once, in their order', async () => {
    const names = ['anna', 'ben', 'cleo', 'dora'];
    const sockets = await Promise.all(
      names.map((clientId) => connectSocket(system.url, { clientId })),
    );
    const prompt = (value: string, to: 'all' | 'client') => ({
      '1': { class_type: 'RunMs', inputs: { ms: 20, seed: 0 } },
      '2': { class_type: 'PreviewImage', inputs: { images: ['1', 0] } },
      '3': { class_type: 'CustomMessage', inputs: { value, type: 'my.extension', to } },
    });
    const valuesOf = (name: string) => Array.from({ length: 6 }, (_, n) => `${name} ${n}`);
    await Promise.all(
      names.flatMap((name) =>
        valuesOf(name).map((value, n) =>
          run(api, prompt(value, n % 2 === 0 ? 'all' : 'client'), { client_id: name }),
        ),
      ),
    );
    for (const [index, socket] of sockets.entries()) {
      const name = names[index]!;
      await until(
        () =>
          socket
            .textFrames('executing')
            .filter(({ data }) => (data as { node: unknown }).node === null).length === 6,
      );
      const messages = socket.textFrames('my.extension').map(({ data }) => data as object);
      const received = messages.map((data) => (data as { value: string }).value);
      expect([...received].sort()).toEqual(valuesOf(name));
      const texts = socket.frames.flatMap((frame) =>
        frame.kind === 'progress_text' ? [[frame.nodeId, frame.text]] : [],
      );
      expect(texts).toEqual(received.map((value) => ['3', value]));
    }
  });

  test('the prompt id in a message is the caller’s', async () => {
    const socket = await connectSocket(system.url, { clientId: 'ids' });
    const prompt = { '3': { class_type: 'CustomMessage', inputs: { value: 'id', to: 'client' } } };
    const id = await run(api, prompt, { client_id: 'ids' });
    const { data } = await socket.waitForText('my.extension');
    expect(data).toEqual({ value: 'id', node: '3', prompt_id: id });
  });
});

describe('a message that names no job', () => {
  /** Two clients and a socket without a name. */
  async function listen(): Promise<EventRecorder[]> {
    const [anna, ben] = [randomUUID(), randomUUID()];
    return await Promise.all(
      [{ clientId: anna }, { clientId: ben }, {}].map((options) =>
        connectSocket(system.url, options),
      ),
    );
  }
  const received = (socket: EventRecorder, type: string) =>
    socket.textFrames(type).map(({ data }) => data);
  /** What comes to all comes in its order: once this is there, so is what was sent before. */
  async function expectAfterFlush(
    sockets: readonly EventRecorder[],
    type: string,
    expected: readonly (readonly object[])[],
  ): Promise<void> {
    const last = { last: randomUUID() };
    await first.sendMessage('flush', last);
    for (const [index, socket] of sockets.entries()) {
      await socket.waitForText('flush', (data) => (data as typeof last).last === last.last);
      expect(received(socket, type)).toEqual(expected[index]);
    }
  }
  /** A job of the first client, under way. */
  async function start(clientId: string): Promise<string> {
    const before = (await first.state()).prompts.length;
    const id = await post(api, slow(1_000, 0.02), { client_id: clientId });
    await until(async () => (await first.state()).prompts.length > before);
    await waitForRunning(api, id);
    return id;
  }
  async function stop(id: string): Promise<void> {
    await api.post('/interrupt', { prompt_id: id });
    await waitForEnd(api, id);
  }

  test('reaches every socket once, however often it is the same', async () => {
    const sockets = await listen();
    const data = { cpu: 12.5, list: [1] };
    // The first may come while no worker passes messages on yet.
    await until(async () => {
      await first.sendMessage('warm.up', {});
      return received(sockets[0]!, 'warm.up').length > 0;
    });
    for (let n = 0; n < 4; n += 1) await first.sendMessage('crystools.monitor', data);
    await expectAfterFlush(
      sockets,
      'crystools.monitor',
      [1, 2, 3].map(() => [data, data, data, data]),
    );
  });

  test('reaches every socket while a job runs; one about a node is its client’s', async () => {
    const clientId = randomUUID();
    const anna = await connectSocket(system.url, { clientId });
    const sockets = [anna, ...(await listen())];
    const id = await start(clientId);
    await anna.waitForText('progress');
    await first.sendMessage('crystools.monitor', { gpu: 1 });
    await first.sendMessage('my.pack', { node_id: '1', progress: 0.5 });
    await expectAfterFlush(
      sockets,
      'crystools.monitor',
      sockets.map(() => [{ gpu: 1 }]),
    );
    await anna.waitForText('my.pack');
    await expectAfterFlush(sockets, 'my.pack', [[{ node_id: '1', progress: 0.5 }], [], [], []]);
    await stop(id);
  });

  test('that is said to one client alone reaches no other', async () => {
    const clientId = randomUUID();
    const anna = await connectSocket(system.url, { clientId });
    const sockets = [anna, ...(await listen())];
    const id = await start(clientId);
    await anna.waitForText('progress');
    const worker = (await first.state()).prompts.at(-1)?.clientId ?? '';
    await first.sendMessage('my.secret', { for: 'anna' }, worker);
    await anna.waitForText('my.secret');
    await stop(id);
    await first.sendMessage('my.secret', { for: 'nobody' }, worker);
    await expectAfterFlush(sockets, 'my.secret', [[{ for: 'anna' }], [], [], []]);
  });

  test('is passed on by another worker when the one that did it has died', async () => {
    const [socket] = await listen();
    await system.workers[0]?.kill9();
    await until(async () => {
      await first.sendMessage('after.death', {});
      return received(socket!, 'after.death').length > 0;
    }, 30_000);
  }, 60_000);
});
