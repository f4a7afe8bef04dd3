import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { connectRedis, createLogger, type Redis } from '@tiercel/runtime';
import {
  connectSocket,
  http,
  letTimePass,
  makeTempFolder,
  onStopEverything,
  shiftClock,
  startRedisProxy,
  startSystem,
  startWorker,
  stopEverything,
  until,
  type TestRedis,
  type TestSystem,
} from '@tiercel/testkit';
import { countCalls, startFallbackSystem, textToImage } from './fallback-system.ts';
import { lastMessage, post, readHistory, waitForEnd } from './prompts.ts';

/** A run is a claim: what becomes of it when its lock, its worker, its clock or Redis' favour is lost. */

const NODES = { NODES_DIR: 'tests/fixtures/nodes' };
const LOCK_MS = 2_000;
const SHORT_LOCK = `queue: { lockMs: ${LOCK_MS} }\n`;

afterEach(stopEverything);

/** A node that sleeps, and what it wrote of its runs. */
function createRuns() {
  const log = join(makeTempFolder(), 'runs');
  writeFileSync(log, '');
  return {
    prompt: (tag: string, ms: number) => ({
      '1': { class_type: 'LoggedSleep', inputs: { ms, log, tag } },
      '2': { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: 'claim' } },
    }),
    count: (what: string, tag: string): number =>
      readFileSync(log, 'utf8')
        .split('\n')
        .filter((line) => line === `${what} ${tag}`).length,
  };
}

function connect(redis: TestRedis): Redis {
  const connection = connectRedis(
    redis.url,
    'subscriber',
    createLogger({ level: 'silent', name: 'test' }),
  );
  onStopEverything(() => {
    connection.disconnect();
  });
  return connection;
}

async function postJobs(
  { url }: TestSystem,
  runs: ReturnType<typeof createRuns>,
  tags: readonly string[],
  ms: number,
): Promise<void> {
  const api = http(url);
  await Promise.all(
    tags.map((tag) => post(api, runs.prompt(tag, ms), { prompt_id: tag, client_id: `c-${tag}` })),
  );
}

describe('ten long jobs in one worker', () => {
  const TAGS = Array.from({ length: 10 }, (_, n) => `job-${n}`);

  const away = {
    'Redis stands still': async ({ redis }: TestSystem) => {
      process.kill(redis.pid, 'SIGSTOP');
      await letTimePass(2 * LOCK_MS);
      process.kill(redis.pid, 'SIGCONT');
    },
    'the worker sleeps': async ({ workers: [worker] }: TestSystem) => {
      worker!.signal('SIGSTOP');
      await letTimePass(2 * LOCK_MS);
      worker!.signal('SIGCONT');
    },
    'Redis is killed and comes back': async ({ redis }: TestSystem) => {
      await redis.kill9();
      await letTimePass(2 * LOCK_MS);
      await redis.restart();
    },
  };

  // With free hands the permits come back at once, without them as soon as one is free.
  test.each([
    ['Redis stands still', 14],
    ['the worker sleeps', 14],
    ['Redis is killed and comes back', 10],
  ] as const)(
    'run once each and to their end when %s for longer than a lock (%i hands)',
    async (how, hands) => {
      const runs = createRuns();
      const system = await startSystem({
        env: { ...NODES, WORKER_CONCURRENCY: String(hands) },
        configYaml: SHORT_LOCK,
      });
      const api = http(system.url);
      await postJobs(system, runs, TAGS, 4 * LOCK_MS + 4_000);
      await until(() => TAGS.every((tag) => runs.count('start', tag) === 1));
      await away[how](system);
      await until(async () => (await api.get('/queue')).status === 200);
      // By then every permit whose lock ran out has been delivered again.
      await letTimePass(LOCK_MS);
      await api.post('/interrupt', { prompt_id: TAGS[3] });
      await until(() => runs.count('stopped', TAGS[3]!) === 1, 2_000);
      for (const tag of TAGS) {
        const [type] = lastMessage(await waitForEnd(api, tag, 30_000));
        expect([tag, type]).toEqual([
          tag,
          tag === TAGS[3] ? 'execution_interrupted' : 'execution_success',
        ]);
        expect([tag, runs.count('start', tag)]).toEqual([tag, 1]);
      }
      // Nothing is stuck: the hands are free for others.
      await postJobs(system, runs, ['after'], 1);
      expect(lastMessage(await waitForEnd(api, 'after', 5_000))[0]).toBe('execution_success');
    },
    90_000,
  );
});

describe('a worker that was taken for dead', () => {
  test('stops what it does, and only its successor ends the job', async () => {
    const runs = createRuns();
    const system = await startSystem({ env: NODES, configYaml: SHORT_LOCK });
    const api = http(system.url);
    const socket = await connectSocket(system.url, { clientId: 'c-x' });
    await postJobs(system, runs, ['x'], 12_000);
    await until(() => runs.count('start', 'x') === 1);
    const [sleeper] = system.workers;
    sleeper!.signal('SIGSTOP');
    await startWorker(system.options);
    await until(() => runs.count('start', 'x') === 2, 4 * LOCK_MS);
    sleeper!.signal('SIGCONT');
    await until(() => runs.count('stopped', 'x') === 1, LOCK_MS);
    expect((await waitForEnd(api, 'x', 30_000)).status.status_str).toBe('success');
    await socket.waitForText('executing', (data) => (data as { node: unknown }).node === null);
    expect(socket.textFrames('execution_success')).toHaveLength(1);
    expect([runs.count('end', 'x'), runs.count('start', 'x')]).toEqual([1, 2]);
    // And it goes on as one of two.
    await postJobs(system, runs, ['y', 'z'], 1_000);
    for (const id of ['y', 'z']) await waitForEnd(api, id);
  }, 60_000);

  test('asks its service for nothing more', async () => {
    const { api, primary, system } = await startFallbackSystem({ config: SHORT_LOCK });
    primary.setFault('hang');
    const id = await post(api, textToImage({ batch: 1 }));
    await until(() => primary.state().counts.running === 1);
    const [sleeper] = system.workers;
    sleeper!.signal('SIGSTOP');
    await startWorker(system.options);
    await until(() => countCalls(primary) === 2, 4 * LOCK_MS);
    sleeper!.signal('SIGCONT');
    await until(() => sleeper!.logs.some((line) => line.includes('this run of it stops')), LOCK_MS);
    await until(() => primary.state().counts.running === 1, LOCK_MS);
    primary.setFault(undefined);
    expect(await readHistory(api, id)).toBeUndefined();
    await api.post('/interrupt', { prompt_id: id });
    expect(lastMessage(await waitForEnd(api, id))[0]).toBe('execution_interrupted');
    expect(countCalls(primary)).toBe(2);
  }, 60_000);

  test('has been found out, and its jobs run again, within the time that the documents promise', async () => {
    const runs = createRuns();
    const system = await startSystem({ env: NODES, workers: 1 });
    await postJobs(system, runs, ['x'], 600);
    await waitForEnd(http(system.url), 'x');
    await postJobs(system, runs, ['y'], 60_000);
    await until(() => runs.count('start', 'y') === 1);
    await startWorker(system.options);
    await system.workers[0]!.kill9();
    const killedAt = performance.now();
    await until(() => runs.count('start', 'y') === 2, 40_000);
    // docs/operations.md: queue.lockMs and a third of it.
    expect(performance.now() - killedAt).toBeLessThan(20_000);
  }, 90_000);
});

describe('the reply to the end of a job', () => {
  test('that is lost costs the next job neither time nor an attempt', async () => {
    const runs = createRuns();
    const system = await startSystem({ env: NODES, workers: 0 });
    const proxy = await startRedisProxy(system.redis.url);
    await startWorker({ ...system.options, redisUrl: proxy.url });
    const api = http(system.url);
    await until(async () => (await api.get('/object_info/LoggedSleep')).text.includes('tag'));
    // Redis knows the scripts by then: the reply that is lost is that to the end, not to its first try.
    await postJobs(system, runs, ['before'], 1);
    await waitForEnd(api, 'before');
    const ids = ['first', 'second', 'third'];
    for (const id of ids) {
      await post(api, runs.prompt(id, 1_000), { prompt_id: id, client_id: 'one' });
    }
    const lost = [proxy.loseReplyTo('execution_success'), proxy.loseReplyTo('execution_success')];
    await lost[0];
    const lostAt = performance.now();
    await until(() => runs.count('start', 'second') === 1, 3_000);
    await lost[1];
    await until(() => runs.count('start', 'third') === 1, 3_000);
    for (const id of ids) {
      expect((await waitForEnd(api, id)).status.status_str).toBe('success');
      expect([id, runs.count('start', id)]).toEqual([id, 1]);
    }
    expect(performance.now() - lostAt).toBeLessThan(10_000);
  }, 60_000);
});

describe('workers whose clocks are 20 s apart', () => {
  const CLOCKS = [20_000, -20_000];

  async function startWorkers(system: TestSystem): Promise<void> {
    for (const shiftMs of CLOCKS) {
      await startWorker({
        ...system.options,
        env: { ...system.options.env, ...shiftClock(shiftMs) },
      });
    }
  }

  test('respect each other’s places on a tier', async () => {
    const { api, primary, system } = await startFallbackSystem({
      primaryKeys: ', concurrency: 1',
      workers: 0,
      env: { WORKER_CONCURRENCY: '3' },
    });
    await startWorkers(system);
    await until(async () => (await api.get('/health')).text.includes('"workers":2'));
    primary.setLatency(1_500);
    const ids = await Promise.all(
      [1, 2, 3, 4, 5, 6].map(() => post(api, textToImage(), { extra_data: { fallback: 'never' } })),
    );
    let most = 0;
    const watch = setInterval(() => {
      most = Math.max(most, primary.state().counts.running);
    }, 20);
    try {
      for (const id of ids) {
        expect((await waitForEnd(api, id, 40_000)).status.status_str).toBe('success');
      }
    } finally {
      clearInterval(watch);
    }
    expect(most).toBe(1);
    expect((await api.get('/health')).text).toContain('"workers":2');
  }, 90_000);

  test('tell times that fit, and history keeps the order of the ends', async () => {
    const runs = createRuns();
    const system = await startSystem({
      env: { ...NODES, WORKER_CONCURRENCY: '1' },
      workers: 0,
    });
    await startWorkers(system);
    const api = http(system.url);
    await until(async () => (await api.get('/health')).text.includes('"workers":2'));
    const ids = Array.from({ length: 8 }, (_, n) => `t${n}`);
    // Two at a time, one on each worker, the second of each pair the longer one.
    for (let n = 0; n < ids.length; n += 2) {
      await postJobs(system, runs, [ids[n]!], 400);
      await postJobs(system, runs, [ids[n + 1]!], 900);
      await waitForEnd(api, ids[n + 1]!);
      await waitForEnd(api, ids[n]!);
    }
    const history = (await api.get('/history')).json() as unknown as Record<string, object>;
    expect(Object.keys(history)).toEqual(ids);
    const { jobs } = (await api.get('/api/jobs?sort_order=asc')).json() as unknown as {
      jobs: {
        id: string;
        create_time: number;
        execution_start_time: number;
        execution_end_time: number;
      }[];
    };
    expect(jobs.map(({ id }) => id)).toEqual(ids);
    const now = Date.now();
    for (const job of jobs) {
      const times = [job.create_time, job.execution_start_time, job.execution_end_time];
      expect(times).toEqual([...times].sort((a, b) => a - b));
      expect(Math.abs(now - job.execution_end_time)).toBeLessThan(15_000);
      expect(job.execution_end_time - job.execution_start_time).toBeLessThan(5_000);
    }
  }, 90_000);
});

describe('a result that Redis refuses', () => {
  const refusals: Record<
    string,
    {
      isFull?: boolean;
      refuse(redis: Redis): Promise<unknown>;
      heal(redis: Redis): Promise<unknown>;
    }
  > = {
    'because its memory is full': {
      isFull: true,
      refuse: (redis) => redis.config('SET', 'maxmemory', '1'),
      heal: (redis) => redis.config('SET', 'maxmemory', '0'),
    },
    'because it cannot save': {
      refuse: async (redis) => {
        mkdirSync(join(await dumpOf(redis), 'x'), { recursive: true });
        await redis.config('SET', 'save', '3600 1');
        await redis.bgsave();
        await until(async () => (await redis.info('persistence')).includes('bgsave_status:err'));
      },
      heal: async (redis) => {
        rmSync(await dumpOf(redis), { recursive: true });
        await redis.bgsave();
        await until(async () => (await redis.info('persistence')).includes('bgsave_status:ok'));
      },
    },
    'because it has become a replica': {
      refuse: (redis) => redis.replicaof('127.0.0.1', 1),
      heal: (redis) => redis.replicaof('NO', 'ONE'),
    },
    'because it lacks replicas': {
      refuse: (redis) => redis.config('SET', 'min-replicas-to-write', '1'),
      heal: (redis) => redis.config('SET', 'min-replicas-to-write', '0'),
    },
  };

  async function dumpOf(redis: Redis): Promise<string> {
    const [, folder = ''] = await redis.config('GET', 'dir');
    return join(folder, 'dump.rdb');
  }

  test.each(Object.entries(refusals))(
    '%s is kept, and written when Redis takes it',
    async (_, refusal) => {
      const runs = createRuns();
      const system = await startSystem({ env: NODES, configYaml: SHORT_LOCK });
      const redis = connect(system.redis);
      const api = http(system.url);
      await postJobs(system, runs, ['brief', 'long'], 1_500);
      await until(() => ['brief', 'long'].every((id) => runs.count('start', id) === 1));
      await refusal.refuse(redis);
      await until(() => ['brief', 'long'].every((id) => runs.count('end', id) === 1));
      // A full Redis takes what also makes room, as the end of a job does.
      if (refusal.isFull !== true) expect(await readHistory(api, 'brief')).toBeUndefined();
      // Longer than the locks last: nobody can renew them.
      await letTimePass(2 * LOCK_MS);
      await refusal.heal(redis);
      for (const id of ['brief', 'long']) {
        const item = await waitForEnd(api, id);
        expect([id, item.status.status_str]).toEqual([id, 'success']);
        expect(item.outputs['2']!.images).toHaveLength(1);
        expect([id, runs.count('start', id)]).toEqual([id, 1]);
      }
      await postJobs(system, runs, ['after'], 1);
      await waitForEnd(api, 'after');
    },
    60_000,
  );

  test('now and then is never told as an error, nor is what jobs note and ask of Redis meanwhile', async () => {
    const { api, primary, system } = await startFallbackSystem({
      env: { WORKER_CONCURRENCY: '4' },
    });
    const redis = connect(system.redis);
    primary.setLatency(40);
    const flapping = new AbortController();
    const flap = (async () => {
      for (let isFull = true; !flapping.signal.aborted; isFull = !isFull) {
        await redis.config('SET', 'maxmemory', isFull ? '1' : '0');
        await letTimePass(isFull ? 15 : 25);
      }
      await redis.config('SET', 'maxmemory', '0');
    })();
    const ids: string[] = [];
    for (let n = 0; n < 60; n += 1) {
      ids.push(await until(() => post(api, textToImage(), { prompt_id: `flap-${n}` })));
    }
    await letTimePass(1_000);
    flapping.abort();
    await flap;
    const ends = await Promise.all(ids.map((id) => waitForEnd(api, id, 40_000)));
    expect(ends.map((item) => item.status.status_str)).toEqual(ids.map(() => 'success'));
    expect(countCalls(primary)).toBe(ids.length);
  }, 90_000);
});
