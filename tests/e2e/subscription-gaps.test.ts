import { afterEach, describe, expect, test } from '@jest/globals';
import { connectRedis, createLogger, type Redis } from '@tiercel/runtime';
import {
  connectSocket,
  http,
  letTimePass,
  onStopEverything,
  startApi,
  startSystem,
  stopEverything,
  until,
  type EventRecorder,
  type TestSystem,
} from '@tiercel/testkit';
import { post, saveImage, single, slow, waitForEnd } from './prompts.ts';
import { startCuttableProxy } from './cuttable-proxy.ts';

/** Redis drops a subscriber, restarts, or hears nothing of a cut: what was published meanwhile is told all the same. */

const NODES = { NODES_DIR: 'tests/fixtures/nodes' };

afterEach(stopEverything);

interface Data {
  readonly prompt_id: string;
  readonly node?: string | null;
}

function openRedis(url: string): Redis {
  const redis = connectRedis(url, 'subscriber', createLogger({ level: 'silent', name: 'test' }));
  onStopEverything(() => {
    redis.disconnect();
  });
  return redis;
}

/** Ids of the jobs whose end a socket was told, as often as it was. */
function endsOf(socket: EventRecorder): string[] {
  return socket.textFrames('execution_success').map(({ data }) => (data as Data).prompt_id);
}

/** The same by the frame after which a client takes a job for over. */
function idlesOf(socket: EventRecorder): string[] {
  return socket
    .textFrames('executing')
    .filter(({ data }) => (data as Data).node === null)
    .map(({ data }) => (data as Data).prompt_id);
}

async function readMetric(url: string, name: string): Promise<number> {
  const { text } = await http(url).get('/metrics');
  const lines = [...text.matchAll(new RegExp(`^${name}(?:{[^}]*})? (\\S+)$`, 'gm'))];
  return lines.reduce((sum, [, value]) => sum + Number(value), 0);
}

async function waitUntilIdle(url: string): Promise<void> {
  await until(async () => {
    const answer = (await http(url).get('/prompt')).json() as {
      exec_info: { queue_remaining: number };
    };
    return answer.exec_info.queue_remaining === 0;
  }, 60_000);
}

/** Runs something while every subscriber's connection is cut again and again. */
async function whileKilling(
  redis: Redis,
  everyMs: number,
  run: () => Promise<void>,
): Promise<void> {
  const isOver = { value: false };
  const killing = (async () => {
    while (!isOver.value) {
      await redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
      await letTimePass(everyMs);
    }
  })();
  try {
    await run();
  } finally {
    isOver.value = true;
    await killing;
  }
}

/** Does something while an API process is stopped: it hears nothing, and reads nothing. */
async function whileStopped(system: TestSystem, run: () => Promise<void>): Promise<void> {
  const [api] = system.apis;
  api!.signal('SIGSTOP');
  try {
    await run();
  } finally {
    api!.signal('SIGCONT');
  }
}

describe('subscriptions that are cut again and again', () => {
  test('hide no end of hundreds of jobs from any socket: each comes once, in order', async () => {
    const system = await startSystem({
      ...{ apis: 2, workers: 2 },
      env: { WORKER_CONCURRENCY: '4' },
    });
    const redis = openRedis(system.redis.url);
    const [first, second] = system.apis.map(({ url }) => url) as [string, string];
    const clients = Array.from({ length: 12 }, (_, n) => `c${n}`);
    const sockets = await Promise.all(
      // Every client has a socket on each API.
      [first, second].flatMap((url) =>
        clients.map(async (clientId) => ({
          clientId,
          socket: await connectSocket(url, { clientId }),
        })),
      ),
    );
    const posted = new Map<string, string[]>(clients.map((clientId) => [clientId, []]));
    for (const clientId of clients) {
      posted
        .get(clientId)!
        .push(await post(http(first), saveImage('gap'), { client_id: clientId }));
    }
    // From here on every socket has joined its client: an end before that may be told to another one only.
    await until(() => sockets.every(({ socket }) => idlesOf(socket).length > 0));
    await whileKilling(redis, 60, async () => {
      await Promise.all(
        clients.map(async (clientId, n) => {
          // One API for each: jobs that two of them accept at once may be released the other way round.
          const url = n % 2 === 0 ? first : second;
          for (let count = 0; count < 25; count += 1) {
            const id = await post(http(url), saveImage('gap'), { client_id: clientId });
            posted.get(clientId)!.push(id);
          }
        }),
      );
      await waitUntilIdle(first);
    });
    for (const { clientId, socket } of sockets) {
      const expected = posted.get(clientId)!;
      await until(() => idlesOf(socket).length >= expected.length, 20_000);
      expect(idlesOf(socket)).toEqual(expected);
      expect(endsOf(socket)).toEqual(expected);
      const executed = socket.textFrames('executed').map(({ data }) => (data as Data).prompt_id);
      expect(executed).toEqual(expected);
      await until(() => JSON.stringify(socket.textFrames('status').at(-1)!.data).includes(':0}'));
    }
    expect(await readMetric(first, 'comfy_subscription_gaps_total')).toBeGreaterThan(5);
    expect(await readMetric(first, 'comfy_repaired_items_total')).toBeGreaterThan(0);
    expect(
      system.apis[0]!.logs.filter((line) => line.includes('had a gap')).length,
    ).toBeGreaterThan(0);
    // Nobody is left to be told anything on return.
    const again = await connectSocket(first, { clientId: 'c0' });
    const id = await post(http(first), saveImage(), { client_id: 'c0' });
    await until(() => idlesOf(again).length > 0);
    expect(idlesOf(again)).toEqual([id]);
  }, 120_000);

  test('keep no event stream from its end', async () => {
    const system = await startSystem({ env: { ...NODES, WORKER_CONCURRENCY: '10' } });
    const redis = openRedis(system.redis.url);
    const api = http(system.url);
    const ids = await Promise.all(Array.from({ length: 10 }, () => post(api, slow(20, 0.05))));
    const streams = ids.map((id) => api.get(`/api/jobs/${id}/events`));
    await whileKilling(redis, 40, () => waitUntilIdle(system.url));
    for (const stream of streams) {
      const { text } = await stream;
      const types = [...text.matchAll(/^event: (.*)$/gm)].map((match) => match[1]!);
      expect(types.slice(-2)).toEqual(['execution_success', 'executing']);
      expect(types.filter((type) => type === 'execution_start')).toHaveLength(1);
      expect(types.filter((type) => type === 'executed')).toHaveLength(1);
      const eventIds = [...text.matchAll(/^id: (.*)$/gm)].map((match) => match[1]);
      expect(new Set(eventIds).size).toBe(eventIds.length);
    }
  }, 60_000);
});

describe('after a gap, an open socket', () => {
  test('is told of what ended while Redis was killed and its own process heard nothing', async () => {
    const system = await startSystem({ apis: 2, env: { ...NODES, WORKER_CONCURRENCY: '4' } });
    const other = http(system.apis[1]!.url);
    const sockets = await Promise.all(
      ['a', 'b', 'c', 'd'].map((clientId) => connectSocket(system.url, { clientId })),
    );
    const ids: string[] = [];
    for (const clientId of ['a', 'b', 'c', 'd']) {
      ids.push(await post(other, slow(20, 0.05), { client_id: clientId }));
    }
    await Promise.all(sockets.map((socket) => socket.waitForText('progress')));
    await whileStopped(system, async () => {
      await system.redis.kill9();
      await system.redis.restart();
      for (const id of ids) await waitForEnd(other, id, 40_000);
    });
    for (const [n, socket] of sockets.entries()) {
      await until(() => idlesOf(socket).length > 0);
      expect(idlesOf(socket)).toEqual([ids[n]]);
      expect(endsOf(socket)).toEqual([ids[n]]);
    }
  }, 90_000);

  test('is told of what ended while Redis dropped its process for being slow', async () => {
    const system = await startSystem({ apis: 2, env: NODES });
    const redis = openRedis(system.redis.url);
    await redis.config('SET', 'client-output-buffer-limit', 'pubsub 300000 100000 1');
    const other = http(system.apis[1]!.url);
    const socket = await connectSocket(system.url, { clientId: 'c' });
    const first = await post(other, saveImage(), { client_id: 'c' });
    await until(() => idlesOf(socket).length > 0);
    const listSubscribers = async () => {
      const list = String(await redis.call('CLIENT', 'LIST', 'TYPE', 'pubsub'));
      return [...list.matchAll(/^id=(\d+)/gm)].map((match) => match[1]!);
    };
    const before = await listSubscribers();
    let id = '';
    await whileStopped(system, async () => {
      // Far more than sockets and the limit take in.
      const prompt = single('BigPreview', { count: 100, bytes: 200_000, salt: 1 });
      id = await post(other, prompt, { client_id: 'c' });
      await waitForEnd(other, id, 30_000);
      await until(async () => {
        const left = await listSubscribers();
        return before.some((client) => !left.includes(client));
      });
    });
    await until(() => idlesOf(socket).length > 1);
    expect(endsOf(socket)).toEqual([first, id]);
    expect(idlesOf(socket)).toEqual([first, id]);
    expect(await readMetric(system.url, 'comfy_subscription_gaps_total')).toBe(1);
  }, 60_000);

  test('is told where a running job is, and everything of it but older progress', async () => {
    const system = await startSystem({ apis: 2, env: NODES });
    const redis = openRedis(system.redis.url);
    const other = http(system.apis[1]!.url);
    const socket = await connectSocket(system.url, { clientId: 'c' });
    const witness = await connectSocket(system.apis[1]!.url, { clientId: 'c' });
    const prompt = {
      ...saveImage(),
      ...{
        '3': slow(3, 0.03)['1'],
        '4': { class_type: 'PreviewImage', inputs: { images: ['3', 0] } },
      },
      ...{
        '5': slow(60, 0.05)['1'],
        '6': { class_type: 'PreviewImage', inputs: { images: ['5', 0] } },
      },
    };
    const id = await post(other, prompt, { client_id: 'c' });
    await socket.waitForText('execution_start');
    await whileStopped(system, async () => {
      await redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
      await witness.waitForText('progress', (data) => (data as Data).node === '5');
    });
    await until(() => [socket, witness].every((one) => idlesOf(one).includes(id)), 20_000);
    const shown = (recorder: EventRecorder) =>
      recorder
        .textFrames()
        .filter(
          ({ type, data }) =>
            type !== 'status' && !type.startsWith('progress') && data !== undefined,
        )
        .map(({ type, data }) => `${type} ${(data as Data).node ?? ''}`);
    expect(shown(socket)).toEqual(shown(witness));
    const values = socket
      .textFrames('progress')
      .filter(({ data }) => (data as Data).node === '5')
      .map(({ data }) => (data as { value: number }).value);
    expect(values).toEqual([...values].sort((a, b) => a - b));
    expect(values.at(-1)).toBe(60);
  }, 60_000);

  test('is told of what ended although nobody told of the cut', async () => {
    const system = await startSystem();
    const proxy = await startCuttableProxy(system.redis.url);
    const api = await startApi({ ...system.options, redisUrl: proxy.url });
    const socket = await connectSocket(api.url, { clientId: 'c' });
    const before = await post(http(api.url), saveImage(), { client_id: 'c' });
    await until(() => idlesOf(socket).length > 0);
    // From here on the connections that subscribed carry nothing more, and none of them is closed.
    proxy.silenceSubscribers();
    const id = await post(http(api.url), saveImage(), { client_id: 'c' });
    await waitForEnd(http(api.url), id);
    await until(() => idlesOf(socket).length > 1, 20_000);
    expect(idlesOf(socket)).toEqual([before, id]);
    const after = await post(http(api.url), saveImage(), { client_id: 'c' });
    await until(() => idlesOf(socket).length > 2);
    expect(endsOf(socket)).toEqual([before, id, after]);
  }, 60_000);
});

describe('after a gap, a worker', () => {
  test('has heard of an interrupt that came meanwhile', async () => {
    const system = await startSystem({ env: NODES });
    const redis = openRedis(system.redis.url);
    const api = http(system.url);
    const socket = await connectSocket(system.url, { clientId: 'c' });
    const id = await post(api, slow(400, 0.05), { client_id: 'c' });
    await socket.waitForText('progress');
    const [worker] = system.workers;
    worker!.signal('SIGSTOP');
    await redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await api.post('/interrupt', { prompt_id: id });
    worker!.signal('SIGCONT');
    const item = await waitForEnd(api, id);
    expect(item.status.messages.at(-1)![0]).toBe('execution_interrupted');
    await until(() => idlesOf(socket).includes(id));
  }, 40_000);
});
