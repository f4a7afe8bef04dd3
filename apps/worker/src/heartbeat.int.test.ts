import { createHash } from 'node:crypto';
import { afterEach, describe, expect, test } from '@jest/globals';
import { workerId } from '@tiercel/contracts';
import { WorkerRegistry } from '@tiercel/events';
import { systemClock } from '@tiercel/runtime';
import { until } from '@tiercel/testkit';
import { Heartbeat } from './heartbeat.ts';
import type { TierCapabilities } from './describe-capabilities.ts';
import { log, useJobs } from './worker.test-helpers.ts';

const jobs = useJobs();
const started: Heartbeat[] = [];

afterEach(async () => {
  for (const heartbeat of started.splice(0)) await heartbeat.stop();
});

const EMPTY: TierCapabilities = {
  ...{ objectInfo: {}, models: {}, embeddings: [], devices: [], tiers: [], servers: [] },
  ...{ extensions: [], system: undefined, features: {}, nodeReplacements: {} },
};

/** A heartbeat whose capabilities the test sets, and what the API processes are notified of at once. */
async function open() {
  const registry = new WorkerRegistry(jobs.redis, jobs.names);
  const state = { capabilities: EMPTY, problem: undefined as Error | undefined, running: 0 };
  const heartbeat = new Heartbeat({
    ...{
      registry,
      workerId: workerId('w1'),
      readPool: () => ({
        ...{ rules: { name: 'default' }, isPaused: false, isDrained: false },
        uses: () => true,
      }),
      concurrency: 3,
      clock: systemClock,
      log,
    },
    readCapabilities: () =>
      state.problem ? Promise.reject(state.problem) : Promise.resolve(state.capabilities),
    running: () => state.running,
  });
  const notified: string[] = [];
  const subscriberConnection = jobs.connect('subscriber');
  subscriberConnection.on('message', (_, id: string) => notified.push(id));
  await subscriberConnection.subscribe(jobs.names.workersChannel);
  const read = async () => (await registry.readLive())[0];
  return {
    ...{ heartbeat, state, notified, read, registry },
    start: async () => {
      await heartbeat.start();
      started.push(heartbeat);
    },
  };
}

describe('the heartbeat', () => {
  test('says at the start what the worker can run, and leaves its catalogue', async () => {
    const { start, state, read } = await open();
    state.capabilities = {
      ...EMPTY,
      objectInfo: { A: { input: {} } } as unknown as TierCapabilities['objectInfo'],
    };
    await start();
    const text = '{"A":{"input":{}}}';
    const catalogueHash = createHash('sha256').update(text).digest('hex');
    expect(await read()).toMatchObject({
      ...{ workerId: 'w1', pid: process.pid, concurrency: 3, running: 0, catalogueHash },
    });
    expect(await jobs.redis.get(jobs.names.catalogue(catalogueHash))).toBe(text);
  });

  test('sends a change at once, and what is none at its next beat only', async () => {
    const { heartbeat, start, state, notified, read } = await open();
    await start();
    await until(() => notified.length === 1);
    state.running = 2;
    heartbeat.sendNow();
    await until(async () => (await read())?.running === 2);
    state.capabilities = { ...EMPTY, embeddings: ['e'] };
    heartbeat.sendNow();
    await until(async () => (await read())?.embeddings.length === 1);
    await until(() => notified.length === 2);
    expect(notified).toEqual(['w1', 'w1']);
  });

  test('names the refreshes that were done, the last 32 of them', async () => {
    const { heartbeat, start, read } = await open();
    await start();
    for (let n = 0; n < 40; n += 1) heartbeat.reportRefresh(`l${n}`);
    await until(async () => (await read())?.looks.at(-1) === 'l39');
    expect((await read())?.looks).toHaveLength(32);
  });

  test('goes on after a beat that failed', async () => {
    const { heartbeat, start, state, read } = await open();
    await start();
    state.problem = new Error('the capabilities could not be read');
    heartbeat.sendNow();
    state.problem = undefined;
    state.running = 1;
    heartbeat.sendNow();
    await until(async () => (await read())?.running === 1);
  });

  test('withdraws at its stop and says nothing before its start', async () => {
    const { heartbeat, registry, notified } = await open();
    heartbeat.sendNow();
    await heartbeat.start();
    await until(() => notified.length === 1);
    await heartbeat.stop();
    await until(() => notified.length === 2);
    expect(await registry.readLive()).toEqual([]);
  });
});
