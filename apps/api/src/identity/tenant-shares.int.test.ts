import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { ChangeWatch, PolicyStore } from '@tiercel/accounts';
import {
  DEFAULT_TENANT,
  OPEN_CALLER,
  promptId,
  RedisNames,
  workerId,
  type Caller,
} from '@tiercel/contracts';
import { Consumer, createPermitQueue, Producer } from '@tiercel/queue';
import { connectRedis, createLogger, loadConfig } from '@tiercel/runtime';
import {
  onStopEverything,
  plainJob,
  startTestRedis,
  stopEverything,
  until,
  type TestRedis,
} from '@tiercel/testkit';
import { TenantShares } from './tenant-shares.ts';

const log = createLogger({ level: 'silent', name: 'test' });
const names = new RedisNames('test');
const actor = { who: 'test', from: 'here' };
let server: TestRedis;
let policy: PolicyStore;
/** Of another API process than the one that the administrator talks to. */
let shares: TenantShares;
let consumer: Consumer;
let add: (id: string, caller: Caller) => Promise<void>;
let takes = 0;
const take = async (): Promise<string | undefined> =>
  (await consumer.take(`p${(takes += 1)}`, workerId('w')))?.promptId;

beforeAll(async () => {
  server = await startTestRedis();
  const config = loadConfig({ TIERCEL_CONFIG: '/dev/null' });
  const open = async (): Promise<{
    policy: PolicyStore;
    redis: ReturnType<typeof connectRedis>;
  }> => {
    const redis = connectRedis(server.url, 'blocking', log);
    const subscriberConnection = connectRedis(server.url, 'subscriber', log);
    const watch = new ChangeWatch({ redis, subscriberConnection, names, log });
    const store = new PolicyStore({ redis, names, watch, config, log });
    await watch.start();
    await store.start();
    onStopEverything(() => {
      store.stop();
      watch.stop();
      redis.disconnect();
      subscriberConnection.disconnect();
    });
    return { policy: store, redis };
  };
  ({ policy } = await open());
  const { policy: own, redis } = await open();
  const permits = createPermitQueue(redis, names);
  const producer = new Producer(redis, names, permits, {
    ...{ maxPending: 100, maxPendingBytes: 1e6, perClient: 'serial' },
  });
  consumer = new Consumer(redis, names, permits, {
    ...{ eventsPerJob: 10, eventBytesPerJob: 1e6, eventsTtlSeconds: 60, maxEventBytes: 1e5 },
  });
  shares = new TenantShares({ policy: own, producer, log });
  add = async (id, caller) => {
    const tenant = shares.of(caller);
    await producer.enqueue({ ...plainJob(id), ...(tenant === undefined ? {} : { tenant }) });
    await producer.release(promptId(id), caller.tenant);
  };
});
beforeEach(() => server.flush());
afterAll(async () => {
  shares.stop();
  await stopEverything();
});

const caller = (more: Partial<Caller>): Caller => ({
  ...{ tenant: 'acme', plan: 'free', role: 'user', address: '192.0.2.1' },
  ...more,
});

test('what an administrator sets applies to jobs that wait, for the plan and for the tenant', async () => {
  await policy.set('plans', 'free', { maxRunning: 1 }, actor);
  await until(() => shares.of(caller({}))?.limits.maxRunning === 1);
  for (const id of ['a', 'b', 'c', 'd']) await add(id, caller({}));
  expect([await take(), await take()]).toEqual(['a', undefined]);

  await policy.set('plans', 'free', { maxRunning: 2 }, actor);
  await until(async () => (await take()) === 'b', 2_000);
  expect(await take()).toBeUndefined();

  await policy.set('tenants', 'acme', { overrides: { maxRunning: 3 } }, actor);
  await until(async () => (await take()) === 'c', 2_000);
  expect(await take()).toBeUndefined();
});

test('internal callers have a weight and no limit, and everybody of an open system neither', async () => {
  await policy.set('plans', 'free', { maxRunning: 1, weight: 3 }, actor);
  await until(() => shares.of(caller({}))?.limits.weight === 3);
  expect(shares.of(caller({ role: 'internal' }))?.limits).toEqual({
    ...{ plan: 'free', isUnlimited: true, weight: 3 },
  });
  for (const id of ['a', 'b']) await add(id, caller({ role: 'internal' }));
  await policy.set('plans', 'free', { maxRunning: 1, weight: 5 }, actor);
  await until(() => shares.of(caller({}))?.limits.weight === 5);
  expect([await take(), await take()]).toEqual(['a', 'b']);
  expect(shares.of({ ...OPEN_CALLER, tenant: DEFAULT_TENANT })).toBeUndefined();
});
