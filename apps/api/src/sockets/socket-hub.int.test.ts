import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { EventSubscriber } from '@tiercel/events';
import { connectRedis, type Redis } from '@tiercel/runtime';
import {
  connectSocket,
  http,
  startTestRedis,
  stopEverything,
  until,
  type SocketOptions,
  type TestRedis,
} from '@tiercel/testkit';
import { createApp } from '../http/create-app.ts';
import { createCallerAddresses } from '../identity/caller-address.ts';
import { createOpenGate } from '../identity/gate.ts';
import { createHttpServer, type HttpServer } from '../http/http-server.ts';
import { executing, log, openJobs, resultPicture, type Jobs } from './jobs.test-helpers.ts';
import { createSocketRoutes, createUpgrades } from './serve-upgrades.ts';
import { SocketCounters } from './socket-counters.ts';
import { SocketHub, type SocketHubParts } from './socket-hub.ts';

const OPTIONS: SocketHubParts['options'] = {
  ...{ maxSockets: 10, pingIntervalMs: 60_000, statusIntervalMs: () => 10, previewsAlways: false },
  limits: { previewBytes: 100_000, progressBytes: 200_000, closeBytes: 400_000 },
  maxEventBytes: 100_000,
  features: () => ({ max_upload_size: 18_446_744_073_709_551_615n }),
};

let redisServer: TestRedis;
let jobs: Jobs;
let subscriberConnection: Redis;
let hub: SocketHub;
let subscriber: EventSubscriber;
let server: HttpServer;
let url: string;

beforeAll(async () => {
  redisServer = await startTestRedis();
  jobs = openJobs(redisServer.url, 'hub-test');
});
beforeEach(() => redisServer.flush());
afterEach(async () => {
  hub.stop();
  subscriber.stop();
  subscriberConnection.disconnect();
  await server.close(0);
});
afterAll(async () => {
  await jobs.close();
  await stopEverything();
});

async function start(change: Partial<SocketHubParts['options']> = {}): Promise<void> {
  const { redis, names, reader, replay } = jobs;
  subscriberConnection = connectRedis(redisServer.url, 'subscriber', log);
  subscriber = new EventSubscriber({
    ...{ subscriberConnection, redis, names, log },
    processId: 'test',
  });
  await subscriber.start();
  hub = new SocketHub({
    ...{ subscriber, reader, replay, log, counters: new SocketCounters() },
    estimates: { of: () => Promise.resolve(new Map()) },
    readPicture: ({ file }) => Promise.resolve(Buffer.from(file.filename)),
    options: { ...OPTIONS, ...change },
  });
  await hub.start();
  const checkCaller = () => undefined;
  const gate = createOpenGate(createCallerAddresses([]));
  const upgrades = createUpgrades(hub, checkCaller, gate);
  const options = { maxBodyBytes: 1_000, checkCaller, corsOrigin: undefined, gate };
  server = createHttpServer({
    handle: createApp(createSocketRoutes(upgrades.findRefusal), options, log),
    ...{ shouldUpgrade: upgrades.shouldUpgrade, upgrade: upgrades.upgrade },
    maxBodyBytes: 1_000,
  });
  const { port } = await server.listen('127.0.0.1', 0);
  url = `http://127.0.0.1:${port}`;
}

const connect = (options?: SocketOptions) => connectSocket(url, options);

/** A socket that hears what is said to its client from now on. */
async function connectLive(clientId: string) {
  const socket = await connect({ clientId });
  await socket.waitForText('status');
  await until(async () => {
    const [, count] = (await jobs.redis.call(
      'PUBSUB',
      'NUMSUB',
      jobs.names.clientChannel(clientId),
    )) as [string, number];
    return count > 0;
  });
  return socket;
}

async function run(id: string, clientId: string | undefined) {
  await jobs.add(id, clientId);
  return await jobs.take();
}

const nodesOf = (socket: Awaited<ReturnType<typeof connect>>) =>
  socket.textFrames('executing').map(({ data }) => {
    const { prompt_id: id, node } = data as { prompt_id: string; node: string | null };
    return `${id} ${node}`;
  });
const ended = (id: string) => (data: unknown) =>
  JSON.stringify(data).includes(`"node":null,"prompt_id":"${id}"`);
const missed = async (client: string) => (await jobs.replay.readMissed(client)).endedIds;

describe('a socket', () => {
  test('is told first of the queue and its own id: the one it names, or a new one', async () => {
    await jobs.add('waits', undefined);
    await start();
    const status = { status: { exec_info: { queue_remaining: 1 } } };
    const named = await connect({ clientId: 'a name' });
    expect((await named.waitForText('status')).data).toEqual({ ...status, sid: 'a name' });
    expect(named.frames[0]).toMatchObject({ type: 'status' });
    const ids = [];
    for (const options of [{}, { clientId: '' }, { path: '/api/ws' }]) {
      const { data } = await (await connect(options)).waitForText('status');
      ids.push((data as { sid: string }).sid);
    }
    for (const id of ids) expect(id).toMatch(/^[\da-f]{32}$/);
    expect(new Set(ids).size).toBe(3);
  });

  test('is told when the queue changes', async () => {
    await start();
    const sockets = [await connect(), await connect({ clientId: 'me' })];
    await jobs.add('x', undefined);
    for (const socket of sockets) {
      await socket.waitForText('status', (data) => JSON.stringify(data).includes('remaining":1}'));
    }
  });

  test('that says what it can is told what the server can, to the last digit', async () => {
    await start();
    const socket = await connect({ featureFlags: {} });
    const { raw } = await socket.waitForText('feature_flags');
    expect(raw).toBe('{"type":"feature_flags","data":{"max_upload_size":18446744073709551615}}');
  });

  test('hears of its client’s jobs, with every other socket of the client, and of nobody else’s', async () => {
    await start();
    const mine = [await connectLive('me'), await connectLive('me')];
    const other = await connectLive('you');
    const job = await run('x', 'me');
    await job.emit(executing('x', '4'));
    await job.finish();
    await (await run('y', 'you')).finish();
    for (const socket of mine) {
      await socket.waitForText('executing', ended('x'));
      expect(nodesOf(socket)).toEqual(['x 4', 'x null']);
    }
    await other.waitForText('executing', ended('y'));
    expect(nodesOf(other)).toEqual(['y null']);

    const [leaving, staying] = mine as [(typeof mine)[0], (typeof mine)[0]];
    await leaving.close();
    await until(() => hub.socketCount === 2);
    await (await run('z', 'me')).finish();
    await staying.waitForText('executing', ended('z'));
  });

  test('hears of the progress of jobs that are nobody’s', async () => {
    await start();
    const socket = await connectLive('me');
    const job = await run('x', undefined);
    await job.emit(executing('x', '4'), {
      ...{ type: 'progress', data: { value: 1, max: 2, prompt_id: 'x', node: '4' } },
    });
    await socket.waitForText('progress');
    expect(nodesOf(socket)).toEqual([]);
  });
});

describe('a client that comes back', () => {
  test('is told of what it missed, once, then hears what happens', async () => {
    await start();
    const over = await run('over', 'me');
    await over.emit(resultPicture('over', '9'));
    await over.finish();
    const running = await run('runs', 'me');
    await running.emit(executing('runs', '4'));
    const back = await connect({ clientId: 'me' });
    await back.waitForText('executing', (data) => JSON.stringify(data).includes('"node":"4"'));
    await running.emit(executing('runs', '5'));
    await running.finish();
    await back.waitForText('executing', ended('runs'));
    expect(nodesOf(back)).toEqual(['over 9', 'over null', 'runs 4', 'runs 5', 'runs null']);
    const [picture] = back.frames.filter(({ kind }) => kind === 'preview');
    expect(picture).toMatchObject({ image: Buffer.from('x.png') });
    await until(async () => (await missed('me')).length === 0);
    await until(async () => (await jobs.replay.readMissed('me')).pictures.length === 0);

    const again = await connect({ clientId: 'me' });
    await again.waitForText('status');
    await (await run('later', 'me')).finish();
    await again.waitForText('executing', ended('later'));
    expect(nodesOf(again)).toEqual(['later null']);
  });

  test('is told again of an end that reached no socket of it', async () => {
    await start();
    const socket = await connectLive('me');
    await socket.close();
    await until(() => hub.socketCount === 0);
    await (await run('x', 'me')).finish();
    expect(await missed('me')).toEqual(['x']);
    const back = await connect({ clientId: 'me' });
    await back.waitForText('executing', ended('x'));
  });

  test('while the subscription is broken is told everything when it is whole again', async () => {
    await start();
    const job = await run('x', 'me');
    const gap = new Promise<void>((resolve) => {
      subscriber.onGap({ onGap: resolve, onWhole: () => undefined });
    });
    await jobs.redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await gap;
    const socket = await connect({ clientId: 'me' });
    await job.emit(executing('x', '4'));
    await job.finish();
    await socket.waitForText('executing', ended('x'));
    expect(nodesOf(socket).filter((received) => received === 'x null')).toHaveLength(1);
  });
});

describe('sockets that are too many', () => {
  const handshake = {
    ...{ connection: 'Upgrade', upgrade: 'websocket' },
    ...{ 'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==', 'sec-websocket-version': '13' },
  };

  test('are refused in the shape of an error, and taken when one has gone', async () => {
    await start({ maxSockets: 2 });
    const [first] = [await connect(), await connect({ clientId: 'me' })];
    const refused = await http(url).get('/ws', { headers: handshake });
    expect(refused).toMatchObject({ status: 503, headers: { 'retry-after': '5' } });
    expect(refused.json()).toMatchObject({ error: { type: 'too_many_sockets' }, node_errors: {} });
    await first.close();
    await until(() => hub.socketCount === 1);
    await (await connect()).waitForText('status');
  });

  test('because their peers are gone without a word are found out', async () => {
    await start({ pingIntervalMs: 30 });
    const alive = await connect({ clientId: 'alive' });
    const stuck = await connect({ clientId: 'stuck' });
    stuck.pause();
    await until(() => hub.socketCount === 1);
    await (await run('x', 'alive')).finish();
    await alive.waitForText('executing', ended('x'));
  });
});

test('a hub that stops sends its clients to another process, and takes no more', async () => {
  await start();
  const sockets = [await connect(), await connect({ clientId: 'me' })];
  hub.stop();
  for (const socket of sockets) expect(await socket.closed).toBe(1001);
  await expect(connect()).rejects.toThrow('503');
});
