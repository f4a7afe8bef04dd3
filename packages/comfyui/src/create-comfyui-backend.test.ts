import { DEFAULT_TENANT } from '@tiercel/contracts';
import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { NewOutput, PromptGraph } from '@tiercel/contracts';
import { GraphAnalysis } from '@tiercel/graph';
import {
  AttemptError,
  type AttemptListener,
  type AttemptRequest,
  AttemptStopped,
  Stopped,
  type TierAttemptContext,
} from '@tiercel/routing';
import { connectRedis, createLogger, NO_MASK, systemClock } from '@tiercel/runtime';
import {
  type FakeComfyUi,
  http,
  onStopEverything,
  startFakeComfyUi,
  startTestRedis,
  stopEverything,
  type TestRedis,
  until,
} from '@tiercel/testkit';
import { createComfyUiBackend, type ComfyUiBackend } from './create-comfyui-backend.ts';

const log = createLogger({ level: 'silent', name: 'test' });
let redisServer: TestRedis;

beforeAll(async () => {
  redisServer = await startTestRedis();
});
const backends: ComfyUiBackend[] = [];
afterEach(() => {
  for (const backend of backends.splice(0)) backend.close();
});
afterAll(stopEverything);

async function createBackend(server: FakeComfyUi): Promise<ComfyUiBackend> {
  const redis = connectRedis(redisServer.url, 'blocking', log);
  onStopEverything(() => {
    redis.disconnect();
  });
  const backend = createComfyUiBackend({
    ...{ name: 'gpu', urls: [server.url], timeoutMs: 60_000, redis, log, clock: systemClock },
    clientId: `test-${randomUUID()}`,
    secretKey: Buffer.alloc(32),
    prefix: `test-${randomUUID()}`,
    filesOf: () => ({
      openInput: () => Promise.reject(new Error('no inputs here')),
      saveOutput: ({ type, prefix }: NewOutput) =>
        Promise.resolve({ filename: `${prefix}.png`, subfolder: '', type }),
    }),
    run: { checkMs: 60_000, lostAfterMs: 60_000 },
    unavailableMs: 60_000,
  });
  backends.push(backend);
  await backend.ready();
  // Frames come to sockets that were there before their prompt.
  await until(async () => (await server.state()).sockets.length > 0);
  return backend;
}

function picture(seed: number, ms = 0): AttemptRequest {
  const graph: PromptGraph = {
    '1': { class_type: 'RunMs', inputs: { ms, seed } },
    '2': { class_type: 'PreviewImage', inputs: { images: ['1', 0] } },
  };
  return {
    tenant: DEFAULT_TENANT,
    ...{ promptId: `job-${seed}`, graph, promptText: JSON.stringify(graph), outputIds: ['2'] },
    analysis: new GraphAnalysis(graph, ['2']),
    ...{ extraDataText: '{}', resumeToken: undefined, secretsText: undefined },
    ...{ fallback: undefined, cache: undefined, deadlineMs: Date.now() + 60_000 },
  };
}

const nothing = (): void => undefined;
const listener: AttemptListener = {
  ...{ cached: nothing, nodeStarted: nothing, progress: nothing, executed: nothing },
  ...{ nodeFinished: nothing, relay: nothing, text: nothing, runBegins: nothing, picture: nothing },
};

function createContext(signal = new AbortController().signal): TierAttemptContext {
  return {
    ...{ signal, listener, saveResumeToken: () => Promise.resolve(), claim: nothing },
    mask: NO_MASK,
    recorded: Promise.resolve(),
    ...{ hasAlternative: false, expectedMs: undefined },
  };
}

describe('a server that writes history a moment after execution_success, as ComfyUI does', () => {
  test('is read, and told to forget the prompt, when it has written it', async () => {
    const server = await startFakeComfyUi({ historyMs: 200 });
    const backend = await createBackend(server);
    const { outputs, meta } = await backend.run(picture(1), createContext());
    expect(Object.keys(outputs)).toEqual(['2']);
    expect(meta['2']).toMatchObject({ node_id: '2', display_node: '2' });
    const { prompts } = await server.state();
    const ids = prompts.map(({ promptId }) => promptId);
    await until(async () => (await server.state()).historyDeletes.length > 0);
    expect((await readHistoryIds(server)).filter((id) => ids.includes(id))).toEqual([]);
  });
});

describe('the history of a server', () => {
  const countReads = async (server: FakeComfyUi): Promise<number> => {
    const { requests } = await server.state();
    return Object.keys(requests).filter((route) => route.startsWith('GET /history/')).length;
  };

  test('is not read for a prompt whose frames all came', async () => {
    const server = await startFakeComfyUi();
    const backend = await createBackend(server);
    const { outputs, meta } = await backend.run(picture(1), createContext());
    expect([Object.keys(outputs), Object.keys(meta)]).toEqual([['2'], ['2']]);
    expect(await countReads(server)).toBe(0);
  });

  test.each([
    ['the socket broke meanwhile', (server: FakeComfyUi) => server.closeSockets()],
    ['a frame could not be read', (server: FakeComfyUi) => server.sendGarbage({ kind: 'text' })],
  ])('is read when %s', async (_, disturb) => {
    const server = await startFakeComfyUi();
    const backend = await createBackend(server);
    const run = backend.run(picture(1, 1_000), createContext());
    await until(async () => Object.keys((await server.state()).runs).length > 0);
    await disturb(server);
    expect(Object.keys((await run).outputs)).toEqual(['2']);
    expect(await countReads(server)).toBeGreaterThan(0);
  });
});

test('an ended prompt stays in its server’s history until the end of its job is on record', async () => {
  const server = await startFakeComfyUi();
  const backend = await createBackend(server);
  let markRecorded = nothing;
  const recorded = new Promise<void>((resolve) => (markRecorded = resolve));
  await backend.run(picture(1), { ...createContext(), recorded });
  // Another prompt's entry goes meanwhile, so there was time.
  await backend.run(picture(2), createContext());
  await until(async () => (await server.state()).historyDeletes.length > 0);
  expect(await readHistoryIds(server)).toHaveLength(1);
  markRecorded();
  await until(async () => (await readHistoryIds(server)).length === 0);
});

async function readHistoryIds(server: FakeComfyUi): Promise<string[]> {
  return Object.keys((await http(server.url).get('/history')).json() as object);
}

describe('a server that falls silent in the middle of a prompt', () => {
  test.each([
    ['out of its tier’s time', new AttemptError('timeout', 'late')],
    ['interrupted', new Stopped('interrupt')],
  ])('holds up nobody when the prompt is %s, and is told when it answers again', async (_, why) => {
    const server = await startFakeComfyUi();
    const backend = await createBackend(server);
    const stop = new AbortController();
    const run = backend.run(picture(1, 600_000), createContext(stop.signal));
    const ended = expect(run).rejects.toBeInstanceOf(AttemptStopped);
    await until(async () => Object.keys((await server.state()).runs).length > 0);
    server.signal('SIGSTOP');
    stop.abort(why);
    await ended;
    server.signal('SIGCONT');
    await until(async () => (await server.state()).interrupts.length > 0);
    await until(async () => (await readRunning(server)).length === 0);
  });
});

async function readRunning(server: FakeComfyUi): Promise<readonly unknown[]> {
  return ((await http(server.url).get('/queue')).json() as { queue_running: unknown[] })
    .queue_running;
}

describe('the two places of a server', () => {
  test('are given back when it leaves the pool while they are being taken', async () => {
    const [leaving, staying] = [await startFakeComfyUi(), await startFakeComfyUi()];
    const backend = await createBackend(leaving);
    // So that no run waits for ever for a place that was not given back.
    const context = createContext(AbortSignal.timeout(20_000));
    for (const seed of [1, 2]) {
      backend.setServers([leaving.url]);
      await backend.ready();
      const run = backend.run(picture(seed), context);
      backend.setServers([staying.url]);
      await run;
    }
    expect((await leaving.state()).prompts).toEqual([]);
    backend.setServers([leaving.url]);
    await backend.ready();
    await Promise.all([3, 4].map((seed) => backend.run(picture(seed), context)));
    expect((await leaving.state()).prompts).toHaveLength(2);
  });

  test('are free as soon as it is done, while outputs are still on their way', async () => {
    const server = await startFakeComfyUi();
    const backend = await createBackend(server);
    await server.hangRoute('^GET /view');
    const stop = new AbortController();
    const context = createContext(stop.signal);
    const runs = [1, 2, 3, 4].map((seed) => backend.run(picture(seed), context));
    const ended = Promise.allSettled(runs);
    await until(async () => (await server.state()).prompts.length === 4);
    stop.abort(new Stopped('shutdown'));
    await ended;
  });
});
