import { afterEach, describe, expect, test } from '@jest/globals';
import {
  connectSocket,
  http,
  startApi,
  startSystem,
  startWorker,
  stopEverything,
  until,
  type TestSystem,
} from '@tiercel/testkit';
import {
  lastMessage,
  post,
  readHistory,
  saveImage,
  single,
  slow,
  waitForEnd,
  waitForRunning,
} from './prompts.ts';

/** Invariants 1, 2 and 4: with real processes, killed at the worst moments. */

const NODES = { NODES_DIR: 'tests/fixtures/nodes' };
const QUICK_LOCKS = 'queue: { lockMs: 2500 }\n';

afterEach(stopEverything);

async function countFiles(system: TestSystem, prefix: string): Promise<number> {
  const api = http(system.url);
  const names = (await api.get('/internal/files/output')).json() as string[];
  return names.filter((name) => name.startsWith(prefix)).length;
}

describe('an answered job is never lost (invariant 1)', () => {
  test('kill -9 of the worker in the middle: the job runs again elsewhere and ends once', async () => {
    const system = await startSystem({ env: NODES, configYaml: QUICK_LOCKS });
    const api = http(system.url);
    const socket = await connectSocket(system.url, { clientId: 'c' });
    const id = await post(api, slow(20, 0.05), { client_id: 'c' });
    await socket.waitForText('progress');
    await system.workers[0]!.kill9();
    await startWorker(system.options);
    const item = await waitForEnd(api, id);
    expect(item.status.status_str).toBe('success');
    await socket.waitForText('executing', (data) => (data as { node: unknown }).node === null);
    expect(socket.textFrames('execution_success')).toHaveLength(1);
    expect(socket.textFrames('execution_start')).toHaveLength(2);
  });

  test('kill -9 of the API right after its answers: every answered job still ends', async () => {
    const system = await startSystem({ env: NODES });
    const api = http(system.url);
    const ids: string[] = [];
    const posting = Array.from({ length: 40 }, async (_, n) => {
      // Those that the kill cuts off were not answered and are not owed.
      const answer = await api
        .post('/prompt', { prompt: saveImage('kill-api'), prompt_id: `k${n}` })
        .catch(() => null);
      if (answer?.status === 200) ids.push(`k${n}`);
      if (ids.length === 15) await system.apis[0]!.kill9();
    });
    await Promise.all(posting);
    expect(ids.length).toBeGreaterThanOrEqual(15);
    const second = http((await startApi(system.options)).url);
    for (const id of ids) expect((await waitForEnd(second, id)).status.status_str).toBe('success');
  });

  test('Redis killed with -9 mid-queue and restarted from its append-only file loses nothing', async () => {
    const system = await startSystem({ env: NODES, configYaml: QUICK_LOCKS });
    const api = http(system.url);
    const socket = await connectSocket(system.url, { clientId: 'c' });
    const running = await post(api, slow(30, 0.05), { client_id: 'c' });
    await socket.waitForText('progress');
    const waiting: string[] = [];
    for (let n = 0; n < 10; n += 1) waiting.push(await post(api, saveImage('redis')));
    await system.redis.kill9();
    const refused = await api.post('/prompt', { prompt: saveImage() });
    expect(refused.status).toBe(503);
    expect(refused.headers['retry-after']).toBeDefined();
    expect((refused.json() as { error: { type: string } }).error.type).toBe('redis_unavailable');
    await system.redis.restart();
    for (const id of [running, ...waiting]) {
      expect((await waitForEnd(api, id, 30_000)).status.status_str).toBe('success');
    }
    // The socket stayed open through all of it and hears of jobs again.
    const after = await post(api, saveImage('after'), { client_id: 'c' });
    await socket.waitForText(
      'executing',
      (data) =>
        (data as { node: unknown; prompt_id: string }).node === null &&
        (data as { prompt_id: string }).prompt_id === after,
    );
  });

  test('SIGTERM finishes what is short and hands back what is long', async () => {
    const system = await startSystem({
      env: { ...NODES, WORKER_CONCURRENCY: '2' },
      configYaml: 'worker: { shutdownGraceMs: 1000 }\n',
    });
    const api = http(system.url);
    const short = await post(api, slow(4, 0.1));
    const long = await post(api, slow(100, 0.1));
    await waitForRunning(api, long);
    await system.workers[0]!.stop();
    expect((await readHistory(api, short))?.status.status_str).toBe('success');
    const queue = (await api.get('/queue')).json() as unknown as { queue_pending: unknown[][] };
    expect(queue.queue_pending.map((item) => item[1])).toEqual([long]);
    expect(await readHistory(api, long)).toBeUndefined();
  });

  test('an API with open sockets stops in order on SIGTERM, and tells them to come back', async () => {
    const system = await startSystem();
    const sockets = await Promise.all(
      Array.from({ length: 5 }, (_, n) => connectSocket(system.url, { clientId: `c${n}` })),
    );
    sockets[0]!.pause();
    const started = Date.now();
    expect(await system.apis[0]!.stop()).toBe(0);
    expect(Date.now() - started).toBeLessThan(4_000);
    expect(await sockets[1]!.closed).toBe(1001);
  });

  test('a job accepted while no worker is up runs when one comes', async () => {
    const system = await startSystem();
    const api = http(system.url);
    await waitForEnd(api, await post(api, saveImage()));
    await system.workers[0]!.stop();
    const id = await post(api, saveImage());
    await startWorker(system.options);
    expect((await waitForEnd(api, id)).status.status_str).toBe('success');
  });

  test('history, queue and results survive a restart of everything', async () => {
    const system = await startSystem();
    const id = await post(http(system.url), saveImage('keep'));
    const before = await waitForEnd(http(system.url), id);
    await Promise.all([...system.apis, ...system.workers].map((process) => process.stop()));
    await system.redis.stop();
    await system.redis.restart();
    const api = http((await startApi(system.options)).url);
    expect(await readHistory(api, id)).toEqual(before);
    const { filename } = before.outputs['2']!.images[0]!;
    expect((await api.get(`/view?filename=${filename}`)).status).toBe(200);
  });
});

describe('a job is in exactly one place (invariant 2)', () => {
  test('a poller that reads /queue then /history never finds a gap, 1,000 times', async () => {
    const system = await startSystem({ env: { WORKER_CONCURRENCY: '2' } });
    const api = http(system.url);
    let looks = 0;
    const poll = async (id: string): Promise<void> => {
      for (;;) {
        looks += 1;
        const queue = await api.get('/queue');
        if (queue.text.includes(id)) continue;
        if ((await readHistory(api, id)) === undefined) throw new Error(`${id} is nowhere`);
        return;
      }
    };
    for (let n = 0; looks < 1_000; n += 1) {
      const ids = await Promise.all(
        Array.from({ length: 4 }, (_, k) =>
          post(api, saveImage('gap'), { prompt_id: `gap-${n}-${k}-` }),
        ),
      );
      await Promise.all(ids.map(poll));
    }
    expect(looks).toBeGreaterThanOrEqual(1_000);
  });
});

describe('every accepted job ends in history (invariant 4)', () => {
  test('a node that never returns is ended by the deadline of its job', async () => {
    const system = await startSystem({ env: NODES, configYaml: 'queue: { jobTimeoutMs: 500 }\n' });
    const api = http(system.url);
    const [type, data] = lastMessage(
      await waitForEnd(api, await post(api, single('NeverReturns'))),
    );
    expect(type).toBe('execution_error');
    expect(data).toMatchObject({
      exception_type: 'node_timeout',
      node_id: '1',
      node_type: 'NeverReturns',
    });
    expect(data.exception_message).toContain('500 ms');
  });

  test('a node that blocks its process: workers are killed and the job ends in an error that says so', async () => {
    const system = await startSystem({
      workers: 2,
      env: { ...NODES, WORKER_CONCURRENCY: '1' },
      configYaml: 'queue: { lockMs: 2500, attempts: 2 }\nworker: { blockedMs: 1500 }\n',
    });
    const api = http(system.url);
    const id = await post(api, single('BlocksForever'));
    await Promise.all(system.workers.map((worker) => worker.exited));
    await startWorker(system.options);
    const [type, data] = lastMessage(await waitForEnd(api, id));
    expect(type).toBe('execution_error');
    expect(data).toMatchObject({ exception_type: 'worker_lost' });
    expect(data.exception_message).toMatch(/started 2 times/);
    expect((await waitForEnd(api, await post(api, saveImage()))).status.status_str).toBe('success');
  });

  test('interrupts reach the right job wherever it is, also between its start and its first step', async () => {
    const system = await startSystem({ workers: 2, env: { ...NODES, WORKER_CONCURRENCY: '4' } });
    const api = http(system.url);
    const spared = await post(api, slow(30, 0.05));
    const ids = await Promise.all(
      Array.from({ length: 12 }, async (_, n) => {
        const id = await post(api, slow(200, 0.05), { prompt_id: `stop-${n}` });
        await until(async () =>
          (await api.post('/api/jobs/cancel', { job_ids: [id] })).text.includes('true'),
        );
        return id;
      }),
    );
    await until(async () => !(await api.get('/queue')).text.includes('stop-'));
    for (const id of ids) {
      const item = await readHistory(api, id);
      // Cancelled while it waited, a job leaves no trace; once it ran, it ends as interrupted.
      if (item !== undefined) expect(lastMessage(item)[0]).toBe('execution_interrupted');
    }
    expect((await waitForEnd(api, spared)).status.status_str).toBe('success');
  });

  test('files that two workers save under one prefix never collide (invariant 5)', async () => {
    const system = await startSystem({ workers: 2, env: { WORKER_CONCURRENCY: '4' } });
    const api = http(system.url);
    const ids = await Promise.all(Array.from({ length: 60 }, () => post(api, saveImage('same'))));
    const names = await Promise.all(
      ids.map(async (id) => (await waitForEnd(api, id)).outputs['2']!.images[0]!.filename),
    );
    expect(new Set(names).size).toBe(60);
    expect(await countFiles(system, 'same_')).toBe(60);
  });
});
