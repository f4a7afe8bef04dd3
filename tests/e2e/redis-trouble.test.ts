import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { connectRedis, createLogger, type Redis } from '@tiercel/runtime';
import {
  connectSocket,
  http,
  startSystem,
  startTestRedis,
  startWorker,
  stopEverything,
  until,
  type RawHttp,
  type SpawnedProcess,
  type TestRedis,
  type TestSystem,
} from '@tiercel/testkit';
import { post, saveImage, waitForEnd } from './prompts.ts';

/** A Redis that is there and cannot serve, or not there: what callers, operators and the log are told. */

let redis: TestRedis;
let system: TestSystem;
let api: RawHttp;
/** For orders to Redis itself. */
let control: Redis;

beforeAll(async () => {
  redis = await startTestRedis({ listen: 'port' });
  control = connectRedis(redis.url, 'subscriber', createLogger({ level: 'silent', name: 'test' }));
  system = await startSystem({ redis, env: { WORKER_CONCURRENCY: '2', METRICS_PORT: '0' } });
  api = http(system.url);
});
afterAll(async () => {
  control.disconnect();
  await stopEverything();
});

/** Every route that needs Redis. */
const ROUTES: [string, string, object?][] = [
  ['POST', '/prompt', { prompt: saveImage('trouble') }],
  ['POST', '/api/prompt', { prompt: saveImage('trouble'), prompt_id: 'mine' }],
  ['POST', '/prompt', { prompt: {} }],
  ['GET', '/prompt'],
  ['GET', '/queue'],
  ['POST', '/queue', { clear: true, delete: ['x'] }],
  ['GET', '/history'],
  ['GET', '/history/x'],
  ['POST', '/history', { clear: true, delete: ['x'] }],
  ['POST', '/interrupt', {}],
  ['POST', '/free', {}],
  ['GET', '/api/jobs'],
  ['GET', '/api/jobs?sort_by=execution_duration'],
  ['GET', '/api/jobs?workflow_id=w'],
  ['GET', '/api/jobs/x'],
  ['GET', '/api/jobs/x/events'],
  ['POST', '/api/jobs/x/cancel', {}],
  ['POST', '/api/jobs/cancel', { job_ids: ['x'] }],
  ['GET', '/object_info'],
  ['GET', '/system_stats'],
];

const isOf = (id: string) => (data: unknown) => JSON.stringify(data).includes(id);

interface Log {
  readonly level: number;
  readonly msg: string;
}

function linesOf(process: SpawnedProcess, from: number): Log[] {
  return process.logs.slice(from).map((line) => JSON.parse(line) as Log);
}

const isOutage = ({ msg }: Log) => msg.startsWith('redis does not serve');
const isEnd = ({ msg }: Log) => msg === 'redis serves again';

async function dumpPath(): Promise<string> {
  const [, name = 'dump.rdb'] = await control.config('GET', 'dbfilename');
  const [, folder = redis.dataDir] = await control.config('GET', 'dir');
  return join(folder, name);
}

async function saveUntil(status: 'ok' | 'err'): Promise<void> {
  await control.bgsave();
  await until(async () =>
    (await control.info('persistence')).includes(`rdb_last_bgsave_status:${status}`),
  );
}

/** Each trouble: how it begins and how it ends, and what it is called. */
const TROUBLES: [string, () => Promise<unknown>, () => Promise<unknown>][] = [
  [
    'OOM',
    () => control.config('SET', 'maxmemory', '1'),
    () => control.config('SET', 'maxmemory', '0'),
  ],
  [
    'NOREPLICAS',
    () => control.config('SET', 'min-replicas-to-write', '1'),
    () => control.config('SET', 'min-replicas-to-write', '0'),
  ],
  ['READONLY', () => control.replicaof('127.0.0.1', 1), () => control.replicaof('NO', 'ONE')],
  [
    'MISCONF',
    async () => {
      await control.config('SET', 'save', '3600 1000000');
      // A folder in the way of the file: as a full disk, but without filling one.
      rmSync(await dumpPath(), { force: true });
      mkdirSync(join(await dumpPath(), 'x'), { recursive: true });
      await saveUntil('err');
    },
    async () => {
      rmSync(await dumpPath(), { recursive: true });
      await saveUntil('ok');
    },
  ],
  ['no connection', () => redis.kill9(), () => redis.restart()],
];

describe.each(TROUBLES)('while Redis says %s', (trouble, begin, end) => {
  test('callers are told to come back, operators why, the log once; then all goes on', async () => {
    const [process, worker] = [system.apis[0]!, system.workers[0]!];
    await until(async () => (await api.get('/health/ready')).status === 200);
    const socket = await connectSocket(system.url, { clientId: 'watcher' });
    const before = await post(api, saveImage('before'), { client_id: 'watcher' });
    await waitForEnd(api, before);
    // It is joined to its client.
    await socket.waitForText('execution_success', isOf(before));
    const [from, workerFrom] = [process.logs.length, worker.logs.length];
    await begin();
    try {
      for (const [method, path, body] of [...ROUTES, ...ROUTES]) {
        const answer = await api.request(method, path, body);
        // What needs to write nothing may be done.
        const isAccepting = method === 'POST' && path.endsWith('/prompt');
        const isFine = [200, 404].includes(answer.status) && !isAccepting;
        expect([method, path, isFine ? 503 : answer.status]).toEqual([method, path, 503]);
        if (isFine) continue;
        expect(answer.headers['retry-after']).toBeDefined();
        expect(answer.json()).toMatchObject({ error: { type: 'redis_unavailable' } });
      }
      // An answer may be a tenth of a second old.
      await until(async () => (await api.get('/health/ready')).status !== 200);
      const ready = await api.get('/health/ready');
      expect([ready.status, ready.json()]).toEqual([
        503,
        expect.objectContaining({ ready: false, redis: trouble, store: 'ok' }),
      ]);
      expect((await api.get('/health')).status).toBe(503);
      expect((await api.get('/health/live')).status).toBe(200);
      expect((await api.get('/features')).status).toBe(200);
      const metrics = await api.get('/metrics');
      expect(metrics.status).toBe(200);
      expect(metrics.text).toMatch(/^comfy_redis_up\{[^}]*\} 0$/m);
      expect(metrics.text).toMatch(/^comfy_sockets_open\{[^}]*\} \d+$/m);
      // Whatever a process tries by itself (heartbeats, sweeps) has had its turn.
      await until(() => linesOf(worker, workerFrom).some(isOutage), 15_000);
    } finally {
      await end();
    }
    await until(async () => (await api.get('/health/ready')).status === 200, 15_000);
    for (const [who, since] of [
      [process, from],
      [worker, workerFrom],
    ] as const) {
      await until(() => linesOf(who, since).some(isEnd), 15_000);
      const lines = linesOf(who, since);
      const received = lines.filter(({ level }) => level >= 40);
      expect(received.map(({ msg }) => msg)).toEqual([
        expect.stringContaining('redis does not serve'),
      ]);
      expect(lines.filter(isEnd)).toHaveLength(1);
      expect(JSON.stringify(lines)).not.toContain('trouble-');
    }
    // The socket was kept, and nothing that was accepted is stuck.
    const id = await post(api, saveImage('after'), { client_id: 'watcher' });
    await waitForEnd(api, id);
    await socket.waitForText('execution_success', isOf(id));
    await socket.close();
  });
});

describe('a store that cannot be written', () => {
  test('makes a process not ready, and not dead', async () => {
    // A file in the place of a folder: even root cannot write into it.
    const broken = await startSystem({ redis, workers: 0 });
    const client = http(broken.url);
    const worker = await startWorker({ ...broken.options, env: { METRICS_PORT: '0' } });
    await until(async () => (await client.get('/health/ready')).status === 200);
    rmSync(join(broken.dataDir, 'output'), { recursive: true, force: true });
    writeFileSync(join(broken.dataDir, 'output'), '');
    await until(async () => (await client.get('/health/ready')).status === 503);
    const ready = await client.get('/health/ready');
    expect(ready.json()).toMatchObject({ ready: false, redis: 'ok', store: 'ENOTDIR' });
    expect(ready.text).not.toContain(broken.dataDir);
    expect((await client.get('/health')).status).toBe(503);
    expect((await client.get('/health/live')).status).toBe(200);
    rmSync(join(broken.dataDir, 'output'));
    await until(async () => (await client.get('/health/ready')).status === 200);
    await worker.stop();
  });
});
