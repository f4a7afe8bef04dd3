import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  connectSocket,
  stopEverything,
  until,
  type RawHttp,
  type TestSystem,
} from '@tiercel/testkit';
import { run } from './comfyui-files.ts';
import { startComfyUiSystem } from './comfyui-system.ts';

let system: TestSystem;
let api: RawHttp;

beforeAll(async () => {
  // Two workers, each with a socket of its own, hear what the one server sends to everybody.
  ({ system, api } = await startComfyUiSystem({ workers: 2 }));
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
      const told = messages.map((data) => (data as { value: string }).value);
      expect([...told].sort()).toEqual(valuesOf(name));
      const texts = socket.frames.flatMap((frame) =>
        frame.kind === 'progress_text' ? [[frame.nodeId, frame.text]] : [],
      );
      expect(texts).toEqual(told.map((value) => ['3', value]));
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
