import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import {
  http,
  letTimePass,
  makeTempFolder,
  onStopEverything,
  startApi,
  startSystem,
  startTestRedis,
  startWorker,
  stopEverything,
  until,
  type SpawnedProcess,
  type TestRedis,
  type TestSystem,
} from '@tiercel/testkit';
import { connectRedis, createLogger } from '@tiercel/runtime';
import { post, readHistory, slow, waitForEnd, waitForRunning } from './prompts.ts';

/** Starts and stops come to their end, whatever Redis does meanwhile. */

const NODES = { NODES_DIR: 'tests/fixtures/nodes', WORKER_CONCURRENCY: '2' };
const GRACE_MS = 1_500;
const CONFIG = `worker: { shutdownGraceMs: ${GRACE_MS} }\nqueue: { lockMs: 2000 }\n`;
/** The grace, and what the processes of docs/operations.md may take after it. */
const STOP_MS = GRACE_MS + 8_000;

afterEach(stopEverything);

async function withRedis(
  redis: TestRedis,
  use: (client: ReturnType<typeof connectRedis>) => Promise<unknown>,
): Promise<void> {
  const log = createLogger({ level: 'silent', name: 'test' });
  const client = connectRedis(redis.url, 'subscriber', log);
  try {
    await use(client);
  } finally {
    client.disconnect();
  }
}

/** What can be wrong with Redis; each returns how it is mended. */
const TROUBLES: Readonly<Record<string, (redis: TestRedis) => Promise<() => Promise<void>>>> = {
  'is killed': async (redis) => {
    await redis.kill9();
    return () => redis.restart();
  },
  'hangs (SIGSTOP)': (redis) => {
    process.kill(redis.pid, 'SIGSTOP');
    return Promise.resolve(() => Promise.resolve(void process.kill(redis.pid, 'SIGCONT')));
  },
  'asks for a password now': async (redis) => {
    await withRedis(redis, async (client) => {
      await client.config('SET', 'requirepass', 'another-one');
      for (const type of ['normal', 'pubsub']) await client.call('CLIENT', 'KILL', 'TYPE', type);
    });
    return () => redis.restart(); // its file has no password
  },
};

/** How long a process takes to end; it is told by `signal`. */
async function timeToEnd(child: SpawnedProcess, signal: () => void): Promise<number> {
  const startedAt = Date.now();
  signal();
  await child.exited;
  return Date.now() - startedAt;
}

describe('a start of an API and of a worker', () => {
  /** What each of the two is refused with, at the same time. */
  async function refusals(redisUrl: string): Promise<string[]> {
    const options = { redisUrl, dataDir: makeTempFolder() };
    return await Promise.all([
      startApi(options).then(() => 'started', String),
      startWorker(options).then(() => 'started', String),
    ]);
  }

  test('ends within its 10 s when nobody is where Redis should be', async () => {
    const startedAt = Date.now();
    for (const refusal of await refusals('redis://127.0.0.1:1')) {
      expect(refusal).toMatch(
        /ended with code 1 before it was ready:\n(.*\n)*Redis at 127\.0\.0\.1:1 does not answer\.$/,
      );
    }
    expect(Date.now() - startedAt).toBeLessThan(20_000);
  });

  test('ends when Redis takes connections and answers nothing', async () => {
    const redis = await startTestRedis();
    process.kill(redis.pid, 'SIGSTOP');
    for (const refusal of await refusals(redis.url)) {
      expect(refusal).toMatch(
        /ended with code 1 before it was ready:\n(.*\n)*Redis at .* hangs or still loads its data\.$/,
      );
    }
  });

  test.each(['api', 'worker'])(
    'ends in order when the %s is told to stop meanwhile',
    async (app) => {
      const file = join(import.meta.dirname, `../../apps/${app}/dist/main.js`);
      const settings = ['REDIS_URL=redis://127.0.0.1:1', 'TIERCEL_CONFIG=/dev/null'];
      const child = spawn(
        'env',
        [...settings, `DATA_DIR=${makeTempFolder()}`, process.execPath, file],
        {
          stdio: ['ignore', 'pipe', 'pipe'],
        },
      );
      onStopEverything(() => child.kill('SIGKILL'));
      let [out, errors] = ['', ''];
      child.stdout.on('data', (text: Buffer) => (out += text.toString()));
      child.stderr.on('data', (text: Buffer) => (errors += text.toString()));
      const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
      await until(() => out.includes('redis connection lost'));
      const startedAt = Date.now();
      child.kill('SIGTERM');
      expect(await ended).toBe(0);
      expect(Date.now() - startedAt).toBeLessThan(4_000);
      expect(errors).toBe('');
    },
  );

  test('ends at once, in plain words, when Redis refuses the login', async () => {
    const redis = await startTestRedis({ listen: 'port' });
    const url = (login: string) => redis.url.replace(/\/\/.*@/, `//${login}`);
    const startedAt = Date.now();
    for (const refusal of await refusals(url(':wrong-password@'))) {
      expect(refusal).toMatch(
        /ended with code 1.*(\n.*)*refuses the name or password in REDIS_URL\.$/,
      );
      expect(refusal).not.toContain('wrong-password');
    }
    for (const refusal of await refusals(url(''))) {
      expect(refusal).toMatch(/asks for a password; put it into REDIS_URL/);
    }
    expect(Date.now() - startedAt).toBeLessThan(9_500);
  });
});

describe.each(Object.entries(TROUBLES))('while Redis %s', (_, trouble) => {
  test('an API, an idle worker and a busy one end on SIGTERM, and no job is lost', async () => {
    const system = await startSystem({ workers: 2, env: NODES, configYaml: CONFIG });
    const api = http(system.url);
    const id = await post(api, slow(30, 0.1));
    await waitForRunning(api, id);
    const mend = await trouble(system.redis);
    const children = [...system.workers, ...system.apis];
    const times = await Promise.all(
      children.map((child) =>
        timeToEnd(child, () => {
          child.signal('SIGTERM');
        }),
      ),
    );
    expect(Math.max(...times)).toBeLessThan(STOP_MS);
    for (const child of children) expect(await child.exited).toEqual({ code: 0, signal: null });
    await mend();
    expect(await endElsewhere(system, id)).toBe('success');
  });

  test('what is left of its parent ends by itself', async () => {
    const system = await startSystem({ env: NODES, configYaml: CONFIG });
    await trouble(system.redis);
    const children = [...system.workers, ...system.apis];
    const times = await Promise.all(
      children.map((child) =>
        timeToEnd(child, () => {
          child.disconnect();
        }),
      ),
    );
    expect(Math.max(...times)).toBeLessThan(STOP_MS);
  });

  test('a second signal ends a process at once', async () => {
    const system = await startSystem({
      env: NODES,
      configYaml: 'worker: { shutdownGraceMs: 60000 }\n',
    });
    const api = http(system.url);
    await waitForRunning(api, await post(api, slow(600, 0.1)));
    await trouble(system.redis);
    const [worker] = system.workers;
    worker!.signal('SIGINT');
    await until(() => worker!.logs.some((line) => line.includes('"stopping"')));
    await letTimePass(800); // closer together they are one keystroke
    expect(
      await timeToEnd(worker!, () => {
        worker!.signal('SIGINT');
      }),
    ).toBeLessThan(2_000);
    expect(await worker!.exited).toEqual({ code: 130, signal: null });
  });
});

async function endElsewhere(system: TestSystem, id: string): Promise<string> {
  const [api] = await Promise.all([startApi(system.options), startWorker(system.options)]);
  return (await waitForEnd(http(api.url), id, 30_000)).status.status_str;
}

test('a worker that is told to stop while Redis is away records its job when Redis is back in time', async () => {
  const system = await startSystem({
    env: NODES,
    configYaml: 'worker: { shutdownGraceMs: 20000 }\n',
  });
  const api = http(system.url);
  const id = await post(api, slow(15, 0.1));
  await waitForRunning(api, id);
  await system.redis.kill9();
  const [worker] = system.workers;
  worker!.signal('SIGTERM');
  await until(() => worker!.logs.some((line) => line.includes('"stopping"')));
  await system.redis.restart();
  expect(await worker!.exited).toEqual({ code: 0, signal: null });
  expect((await readHistory(api, id))?.status.status_str).toBe('success');
});
