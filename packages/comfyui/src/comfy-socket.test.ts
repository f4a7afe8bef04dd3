import { randomUUID } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { WebSocketServer } from 'ws';
import { createLogger } from '@tiercel/runtime';
import {
  expectNothingFor,
  onStopEverything,
  startFakeComfyUi,
  stopEverything,
  until,
  type FakeComfyUi,
} from '@tiercel/testkit';
import { createComfyClient } from './comfy-client.ts';
import { ComfySocket, type ComfySocketListener, type ComfySocketOptions } from './comfy-socket.ts';
import type { ComfyMessage, ComfyPreview } from './socket-frames.ts';

let fake: FakeComfyUi;
const sockets: ComfySocket[] = [];

beforeAll(async () => {
  fake = await startFakeComfyUi();
});
beforeEach(() => fake.reset());
afterEach(() => Promise.all(sockets.splice(0).map((socket) => socket.close())));
afterAll(stopEverything);

interface Received {
  /** `open`, `reopen` and `gap`, in their order. */
  readonly states: string[];
  readonly messages: ComfyMessage[];
  readonly previews: ComfyPreview[];
  readonly texts: { nodeId: string; text: string }[];
}

function listen(
  options: Partial<ComfySocketOptions> = {},
): Received & { socket: ComfySocket; clientId: string } {
  const received: Received = { states: [], messages: [], previews: [], texts: [] };
  const listener: ComfySocketListener = {
    onOpen: (isReconnect) => received.states.push(isReconnect ? 'reopen' : 'open'),
    onGap: () => received.states.push('gap'),
    onMessage: (message) => received.messages.push(message),
    onPreview: (preview) => received.previews.push(preview),
    onText: (text) => received.texts.push(text),
    onGarbage: () => undefined,
  };
  const clientId = options.clientId ?? randomUUID();
  const log = createLogger({ level: 'silent', name: 'test' });
  const timing = { pingIntervalMs: 100, silenceMs: 600 };
  const socket = new ComfySocket({
    ...{ baseUrl: fake.url, log, listener, ...timing, ...options },
    clientId,
  });
  sockets.push(socket);
  return { ...received, socket, clientId };
}

function submit(clientId: string, graph: object) {
  const client = createComfyClient({ baseUrl: fake.url, timeoutMs: 5_000 });
  return client.submit({ promptText: JSON.stringify(graph), promptId: randomUUID(), clientId });
}

const QUICK = {
  1: { class_type: 'RunMs', inputs: { ms: 0 } },
  2: { class_type: 'PreviewImage', inputs: { images: ['1', 0] } },
};

const typesOf = (messages: readonly ComfyMessage[]) => messages.map(({ type }) => type);

describe('an open socket', () => {
  test('brings every frame of our prompts, previews with their node, and text', async () => {
    const received = listen();
    await until(() => received.socket.isOpen);
    await until(() => typesOf(received.messages).includes('feature_flags'));
    expect(received.states).toEqual(['open']);
    const answer = await submit(received.clientId, {
      1: { class_type: 'SlowPreview', inputs: { steps: 2, delay: 0.01, fail_at: -1 } },
      2: { class_type: 'PreviewImage', inputs: { images: ['1', 0] } },
      3: {
        class_type: 'CustomMessage',
        inputs: { value: 'hi', type: 'my.extension', to: 'client' },
      },
    });
    expect(answer.kind).toBe('accepted');
    await until(() => typesOf(received.messages).includes('execution_success'));
    expect(typesOf(received.messages)).toEqual(
      expect.arrayContaining([
        'execution_start',
        'executing',
        'progress',
        'executed',
        'my.extension',
      ]),
    );
    const start = received.messages.find(({ type }) => type === 'execution_start');
    const promptId = 'promptId' in answer ? answer.promptId : '';
    expect(start).toMatchObject({ data: { prompt_id: promptId } });
    expect(JSON.parse(start?.raw ?? '')).toEqual({ type: 'execution_start', data: start?.data });
    expect(received.previews).toHaveLength(2);
    expect(received.previews[0]).toMatchObject({
      node: { node_id: '1', real_node_id: '1' },
      promptId,
      mediaType: 'image/jpeg',
    });
    expect([...(received.previews[0]?.bytes.subarray(0, 2) ?? [])]).toEqual([0xff, 0xd8]);
    expect(received.texts).toEqual([{ nodeId: '3', text: 'hi' }]);
  });

  test('survives garbage, and a listener that throws', async () => {
    const types: string[] = [];
    const failing: ComfySocketListener = {
      onOpen: () => undefined,
      onGap: () => undefined,
      onMessage: ({ type }) => {
        types.push(type);
        throw new Error('a fault of ours');
      },
      onPreview: () => undefined,
      onText: () => undefined,
      onGarbage: () => undefined,
    };
    const { socket, clientId } = listen({ listener: failing });
    await until(() => socket.isOpen);
    await fake.sendGarbage({ kind: 'text' });
    await fake.sendGarbage({ kind: 'binary' });
    await submit(clientId, QUICK);
    await until(() => types.includes('execution_success'));
    // 6 texts and 5 binaries, of which one is only of an unknown event.
    expect(socket.garbageCount).toBe(10);
    expect(socket.isOpen).toBe(true);
  });
});

describe('a lost connection', () => {
  test('is told once and made again, whether it was cut or closed', async () => {
    const received = listen();
    await until(() => received.socket.isOpen);
    await fake.closeSockets();
    await until(() => received.states.length === 3);
    await fake.closeSockets(1012);
    await until(() => received.states.length === 5);
    expect(received.states).toEqual(['open', 'gap', 'reopen', 'gap', 'reopen']);
    await submit(received.clientId, QUICK);
    await until(() => typesOf(received.messages).includes('execution_success'));
  });

  test('comes back after the server was killed and started again', async () => {
    const received = listen();
    await until(() => received.socket.isOpen);
    await fake.kill9();
    await until(() => received.states.includes('gap'));
    expect(received.socket.isOpen).toBe(false);
    await fake.restart();
    await until(() => received.socket.isOpen);
    expect(received.states).toEqual(['open', 'gap', 'reopen']);
    await submit(received.clientId, QUICK);
    await until(() => typesOf(received.messages).includes('execution_success'));
  });

  test('is noticed when the server only falls silent, while quiet but living ones are kept', async () => {
    const received = listen();
    await until(() => received.socket.isOpen);
    await expectNothingFor(1_200);
    expect(received.states).toEqual(['open']);
    const silentSince = performance.now();
    await fake.dropSocketsSilently();
    await until(() => received.states.includes('gap'));
    expect(performance.now() - silentSince).toBeLessThan(5_000);
    await until(() => received.socket.isOpen);
    expect(received.states).toEqual(['open', 'gap', 'reopen']);
  });

  test('is noticed when the whole process stands still, and made again when it goes on', async () => {
    const received = listen();
    await until(() => received.socket.isOpen);
    fake.signal('SIGSTOP');
    await until(() => received.states.includes('gap'));
    await expectNothingFor(800); // the kernel still accepts connections
    expect(received.socket.isOpen).toBe(false);
    fake.signal('SIGCONT');
    await until(() => received.socket.isOpen);
    expect(received.states).toEqual(['open', 'gap', 'reopen']);
  });

  test('a socket that the server has forgotten is open and deaf until it is renewed', async () => {
    const received = listen();
    await until(() => received.socket.isOpen);
    await fake.dropSocketsSilently();
    await until(() => received.states.includes('reopen'));
    await fake.reset(); // now the server notices the end of the old socket, and forgets the new one
    await until(async () => !(await fake.state()).sockets.includes(received.clientId));
    await submit(received.clientId, QUICK);
    await expectNothingFor(400);
    expect(received.socket.isOpen).toBe(true);
    expect(typesOf(received.messages)).not.toContain('execution_start');
    received.socket.renew();
    await until(() => received.states.length === 5);
    expect(received.states).toEqual(['open', 'gap', 'reopen', 'gap', 'reopen']);
    await submit(received.clientId, QUICK);
    await until(() => typesOf(received.messages).includes('execution_success'));
  });
});

describe('starting and ending', () => {
  test('a server that is not there yet is connected when it comes, and no gap is told', async () => {
    await fake.kill9();
    const received = listen();
    await expectNothingFor(300);
    await fake.restart();
    await until(() => received.socket.isOpen);
    expect(received.states).toEqual(['open']);
  });

  test('a peer that lets us in, answers pings and never registers us is left and tried again', async () => {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    onStopEverything(() => {
      server.close();
    });
    let count = 0;
    server.on('connection', () => {
      count += 1;
    });
    await until(() => server.address() !== null);
    const { port } = server.address() as AddressInfo;
    const received = listen({ baseUrl: `http://127.0.0.1:${port}` });
    await until(() => count > 1);
    expect(received.states).toEqual([]);
  });

  test('a closed socket tells nothing more and does not come back', async () => {
    const received = listen();
    await until(() => received.socket.isOpen);
    await received.socket.close();
    const before = received.messages.length;
    await until(async () => (await fake.state()).sockets.length === 0);
    await submit(received.clientId, QUICK);
    await expectNothingFor(300);
    expect((await fake.state()).sockets).toEqual([]);
    expect(received.states).toEqual(['open']);
    expect(received.messages).toHaveLength(before);
  });

  test('a socket is closed while it connects, and while it waits to', async () => {
    await listen().socket.close();
    await fake.kill9();
    const waiting = listen();
    await expectNothingFor(100);
    await waiting.socket.close();
    expect(waiting.states).toEqual([]);
  });
});
