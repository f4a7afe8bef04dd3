import { afterAll, describe, expect, test } from '@jest/globals';
import type { JsonObject } from '@tiercel/contracts';
import { WebSocket } from 'ws';
import {
  connectSocket,
  http,
  onStopEverything,
  startFakeComfyUi,
  stopEverything,
  until,
  type EventRecorder,
  type FakeComfyUi,
} from '../index.ts';

afterAll(stopEverything);

async function start(): Promise<{ fake: FakeComfyUi; client: EventRecorder }> {
  const fake = await startFakeComfyUi();
  return { fake, client: await connectSocket(fake.url, { clientId: 'me' }) };
}

/** A job of that many steps of 20 ms. */
function slow(steps: number, id: string): JsonObject {
  const prompt = {
    1: { class_type: 'SlowPreview', inputs: { steps, delay: 0.02, fail_at: -1 } },
    2: { class_type: 'PreviewImage', inputs: { images: ['1', 0] } },
  };
  return { prompt, prompt_id: id, client_id: 'me' };
}

async function readEntry(fake: FakeComfyUi, id: string): Promise<JsonObject | undefined> {
  const history = (await http(fake.url).get(`/history/${id}`)).json();
  return (history as Record<string, JsonObject>)[id]; // as ComfyUI answers
}

describe('the process', () => {
  test('dies in the middle of a run, and knows of it after its restart on the same port', async () => {
    const { fake, client } = await start();
    const api = http(fake.url);
    await api.post('/prompt', slow(1, 'before'));
    await until(() => readEntry(fake, 'before'));
    await fake.dieMidRun(2);
    await api.post('/prompt', slow(5, 'dies'));
    expect((await fake.exited).signal).toBe('SIGKILL');
    expect(client.textFrames('progress').map(({ data }) => data)).toMatchObject([
      ...[
        { value: 1, max: 1 },
        { value: 1, max: 5 },
        { value: 2, max: 5 },
      ],
    ]);
    await fake.restart();
    expect((await api.get('/queue')).json()).toEqual({ queue_running: [], queue_pending: [] });
    expect((await api.get('/history')).json()).toEqual({});
    expect((await fake.state()).runs).toEqual({ before: 1, dies: 1 });
  });

  test('keeps its history over a restart when asked to', async () => {
    const { fake } = await start();
    await http(fake.url).post('/prompt', slow(1, 'kept'));
    await until(() => readEntry(fake, 'kept'));
    await fake.restart({ keepHistory: true });
    expect(await readEntry(fake, 'kept')).toMatchObject({ status: { status_str: 'success' } });
    await fake.loseHistory();
    expect(await readEntry(fake, 'kept')).toBeUndefined();
  });
});

describe('sockets', () => {
  test('go silent and stay open, while new ones work', async () => {
    const { fake, client } = await start();
    await fake.dropSocketsSilently();
    const other = await connectSocket(fake.url, { clientId: 'other' });
    const before = client.frames.length;
    await http(fake.url).post('/prompt', slow(1, 'unheard'));
    await until(() => readEntry(fake, 'unheard'));
    await other.waitForText('status', (data) => JSON.stringify(data).includes(':0'));
    expect(client.frames).toHaveLength(before);
    await fake.reset();
    await client.closed;
  });

  test('are closed, sent garbage, and sent everything twice', async () => {
    const { fake, client } = await start();
    await fake.closeSockets(1012);
    expect(await client.closed).toBe(1012);
    // The recorder refuses to read what follows.
    const socket = new WebSocket(`${fake.url.replace('http', 'ws')}/ws?clientId=me`);
    onStopEverything(() => {
      socket.terminate();
    });
    const received: string[] = [];
    socket.on('message', (message: Buffer, isBinary) => {
      received.push(isBinary ? `binary ${message.toString('hex')}` : message.toString());
    });
    await until(() => received.length === 1);
    await fake.duplicateFrames();
    await fake.sendGarbage({ kind: 'text' });
    await fake.sendGarbage({ kind: 'binary' });
    await until(() => received.length === 1 + 2 * (6 + 5));
    expect(received.slice(1, 3)).toEqual(['this is not JSON', 'this is not JSON']);
    expect(received.at(-1)).toBe('binary 00000003ffffffff41');
  });
});

describe('routes', () => {
  test('fail, hang, answer late and cut their answers short, as often as told', async () => {
    const { fake } = await start();
    const api = http(fake.url);
    await fake.failRoute('^GET /queue$', { status: 503, body: { busy: true } }, 1);
    const failed = await api.get('/api/queue');
    expect([failed.status, failed.json()]).toEqual([503, { busy: true }]);
    expect((await api.get('/queue')).status).toBe(200);
    await fake.hangRoute('/system_stats', 1);
    await expect(api.get('/system_stats', { timeoutMs: 100 })).rejects.toThrow('timed out');
    await fake.answerSlowly(80, '/features', 1);
    const startedAt = performance.now();
    await api.get('/features');
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(75);
    await fake.sendGarbage({ kind: 'truncated', path: '/object_info' }, 1);
    await expect(api.get('/object_info')).rejects.toThrow(/aborted|hang up/);
    expect((await fake.state()).requests['GET /queue']).toBe(2);
  });

  test('a prompt is taken and not answered, answered with a page, or rejected', async () => {
    const { fake } = await start();
    const api = http(fake.url);
    await fake.swallowPromptAnswer();
    await expect(api.post('/prompt', slow(1, 'uncertain'))).rejects.toThrow(/hang up|RESET/);
    await until(() => readEntry(fake, 'uncertain'));
    await fake.sendGarbage({ kind: 'html' }, 1);
    expect((await api.post('/prompt', slow(1, 'page'))).text).toContain('<html>');
    const error = { type: 'custom', message: 'No.', details: '', extra_info: {} };
    await fake.rejectPrompts({ error, node_errors: {} }, 1);
    expect((await api.post('/prompt', slow(1, 'no'))).status).toBe(400);
    const { prompts } = await fake.state();
    expect(prompts.map(({ promptId }) => promptId)).toEqual(['uncertain']);
  });
});

describe('runs', () => {
  test('run out of memory at a node', async () => {
    const { fake, client } = await start();
    await fake.outOfMemory('2');
    await http(fake.url).post('/prompt', slow(1, 'big'));
    const { data } = await client.waitForText('execution_error');
    expect(data).toMatchObject({
      ...{ node_id: '2', node_type: 'PreviewImage', executed: ['1'] },
      exception_type: 'torch.OutOfMemoryError',
    });
  });

  test('pause and go on, are forgotten, and miss an interrupt', async () => {
    const { fake, client } = await start();
    const api = http(fake.url);
    await fake.pauseExecution();
    await api.post('/prompt', slow(2, 'waits'));
    expect(JSON.stringify((await api.get('/queue')).json())).toContain('"queue_running":[]');
    await fake.resume();
    await until(() => readEntry(fake, 'waits'));

    await api.post('/prompt', slow(100, 'forgotten'));
    await client.waitForText('progress', (data) => JSON.stringify(data).includes('forgotten'));
    await fake.forgetQueue();
    expect((await api.get('/prompt')).text).toContain('"queue_remaining": 0');

    await fake.ignoreInterrupts(1);
    await api.post('/prompt', slow(100, 'stubborn'));
    await client.waitForText('progress', (data) => JSON.stringify(data).includes('stubborn'));
    await api.post('/interrupt', { prompt_id: 'stubborn' });
    await api.post('/interrupt');
    await client.waitForText('execution_interrupted');
    expect((await fake.state()).interrupts).toEqual(['stubborn', null]);
    expect(await readEntry(fake, 'forgotten')).toBeUndefined();
  });
});
