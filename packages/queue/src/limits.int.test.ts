import { afterEach, describe, expect, test } from '@jest/globals';
import { workerId } from '@tiercel/contracts';
import { until } from '@tiercel/testkit';
import type { TakenJob } from './taken-job.ts';
import { log, result, sweeperParts, useQueueParts } from './queue.test-helpers.ts';
import { PermitRunner } from './runner.ts';
import { Sweeper } from './sweeper.ts';
import type { TenantLimits } from './tenant-limits.ts';

const parts = useQueueParts();
const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

/**
 * A worker that waits for permits.
 * @param hold what each job waits for; without it jobs end at once
 * @returns what it has started
 */
function startWorker({ hands = 1, hold = Promise.resolve() } = {}): TakenJob[] {
  const started: TakenJob[] = [];
  const redis = parts.redis.duplicate();
  const runner = new PermitRunner({
    ...{ redis, names: parts.names, log },
    options: { concurrency: hands, lockMs: 5_000 },
    run: async ({ permit }) => {
      const job = await parts.consumer.take(permit, workerId('w'));
      if (job === undefined) return;
      started.push(job);
      await hold;
      await parts.consumer.finish(job, result(job.id), job.takenAtMs, undefined);
    },
    onDoubt: () => Promise.resolve(),
    addPermit: () => parts.consumer.addPermit(),
  });
  runner.start();
  ends.push(async () => {
    await runner.stop();
    redis.disconnect();
  });
  return started;
}

const add = (id: string, limits: TenantLimits, tenant = 'T'): Promise<void> =>
  parts.add(id, { tenant: { id: tenant, limits } });

function createSweeper(): Sweeper {
  return new Sweeper({
    ...{ redis: parts.redis, names: parts.names, permits: parts.permits, log },
    parts: sweeperParts(parts),
    options: {
      ...{ intervalMs: 1, releaseAfterMs: 60_000, lockMs: 60_000 },
      ...{ historyMaxItems: 100, historyMaxDays: 1 },
    },
  });
}

describe('a limit that lifts by itself', () => {
  test('wakes a worker that had nothing to do, at each due time', async () => {
    const limits = { weight: 1, intervalMs: 150 };
    for (const id of ['a', 'b', 'c']) await add(id, limits);
    const started = startWorker();
    await until(() => started.length === 3);
    expect(started.map(({ promptId }) => promptId)).toEqual(['a', 'b', 'c']);
    const [a, b, c] = started.map(({ takenAtMs }) => takenAtMs);
    for (const gap of [b! - a!, c! - b!]) {
      expect(gap).toBeGreaterThanOrEqual(150);
      expect(gap).toBeLessThan(1_500);
    }
  });

  test('holds for a job that comes when the tenant had nothing waiting, and after a restart of Redis', async () => {
    const limits = { weight: 1, intervalMs: 60_000 };
    await add('a', limits);
    await parts.finish(await parts.take());
    await parts.server.restart();
    await add('b', limits);
    expect(await parts.take()).toBeUndefined();
    await parts.producer.putLimits('T', { weight: 1 });
    expect((await parts.take())?.promptId).toBe('b');
  });

  test('is noticed by the sweeper when the permit that was to wake a worker is lost', async () => {
    const limits = { weight: 1, intervalMs: 50 };
    await add('a', limits);
    await add('b', limits);
    await parts.finish(await parts.take());
    await parts.permits.obliterate({ force: true });
    const sweeper = createSweeper();
    const started = startWorker();
    await until(async () => {
      await sweeper.sweep();
      return started.length === 1;
    });
    expect(started[0]?.promptId).toBe('b');
  });
});

describe('a cap', () => {
  test('lets others pass, and a raised one applies to what waits', async () => {
    for (const id of ['a', 'b', 'c']) await add(id, { weight: 1, maxRunning: 1 });
    await add('x', { weight: 1 }, 'U');
    expect(await parts.takeIds(3)).toEqual(['a', 'x', undefined]);
    const before = await parts.permits.getWaitingCount();
    await parts.producer.putLimits('T', { weight: 1, maxRunning: 2 });
    expect(await parts.permits.getWaitingCount()).toBeGreaterThanOrEqual(Math.min(1, before));
    expect(await parts.takeIds(2)).toEqual(['b', undefined]);
  });

  test.each<TenantLimits>([
    { weight: 1 },
    { weight: 1, maxRunning: 3 },
    { weight: 1, maxRunning: 1, soft: true },
  ])('that is changed to %j gives all idle hands work at once', async (limits) => {
    let endAll = (): void => undefined;
    const hold = new Promise<void>((resolve) => (endAll = resolve));
    for (const id of ['a', 'b', 'c', 'd']) await add(id, { weight: 1, maxRunning: 1 });
    const started = startWorker({ hands: 3, hold });
    ends.unshift(() => {
      endAll();
      return Promise.resolve();
    });
    await until(async () => started.length === 1 && (await parts.permits.getWaitingCount()) === 0);
    await parts.producer.putLimits('T', limits);
    await until(() => started.length === 3);
  });

  test('that is lowered stops further starts at once', async () => {
    for (const id of ['a', 'b', 'c']) await add(id, { weight: 1 });
    expect(await parts.takeIds(1)).toEqual(['a']);
    await parts.producer.putLimits('T', { weight: 1, maxRunning: 1 });
    expect(await parts.take()).toBeUndefined();
  });

  test('that is soft yields only while nobody else has work', async () => {
    const soft = { weight: 1, maxRunning: 1, soft: true };
    for (const id of ['a', 'b', 'c']) await add(id, soft);
    await add('x', { weight: 1 }, 'U');
    expect(await parts.takeIds(4)).toEqual(['a', 'x', 'b', 'c']);
  });

  test('is kept by a job that was handed back, and by one whose worker died', async () => {
    for (const id of ['a', 'b']) await add(id, { weight: 1, maxRunning: 1 });
    const first = await parts.take('permit');
    expect((await parts.take('permit'))?.attempt).toBe(2);
    expect(await parts.take()).toBeUndefined();
    const again = await parts.take('permit');
    expect(again?.promptId).toBe(first?.promptId);
    await parts.consumer.handBack(again!);
    expect(await parts.takeIds(2)).toEqual(['a', undefined]);
  });
});

describe('within a tenant', () => {
  const tenant = (order?: 'short-first') => ({ id: 'T', limits: { weight: 1, order } });

  test('a priority goes before the number, and nobody else notices', async () => {
    await parts.add('normal', { tenant: tenant() });
    await parts.add('other', { tenant: { id: 'U', limits: { weight: 1 } } });
    await parts.add('low', { tenant: tenant(), priority: 'low', front: true });
    await parts.add('high', { tenant: tenant(), priority: 'high' });
    await parts.add('front', { tenant: tenant(), front: true });
    await parts.add('high and front', { tenant: tenant(), priority: 'high', number: -7.25 });
    expect(await parts.takeIds(6)).toEqual([
      'high and front',
      'other',
      'high',
      'front',
      'normal',
      'low',
    ]);
  });

  test('a priority is kept by a job that is handed back, and by the next of its client', async () => {
    const fields = { tenant: tenant(), clientId: 'A' };
    await parts.add('first', fields);
    await parts.add('second', fields);
    await parts.add('urgent', { ...fields, priority: 'high' });
    const urgent = await parts.take();
    expect(urgent?.promptId).toBe('urgent');
    await parts.consumer.handBack(urgent!);
    const again = await parts.take();
    expect(again?.promptId).toBe('urgent');
    await parts.finish(again);
    expect((await parts.take())?.promptId).toBe('first');
  });

  test('short jobs pass long ones when the plan says so, but none for ever', async () => {
    const cost = (estimateMs: number) => ({ signature: `${estimateMs}`, estimateMs });
    await parts.add('long', { tenant: tenant('short-first'), cost: cost(9_000) });
    await parts.add('front', { tenant: tenant('short-first'), cost: cost(9_000), front: true });
    for (let n = 0; n < 30; n += 1) {
      await parts.add(`short${n}`, { tenant: tenant('short-first'), cost: cost(10) });
    }
    const ids = await parts.takeIds(20);
    expect(ids.slice(0, 4)).toEqual(['front', 'short0', 'short1', 'short2']);
    expect(ids.indexOf('long')).toBe(17);
  });
});

test('accounts of tenants that owe nothing are dropped', async () => {
  for (const tenant of ['T', 'U', 'V']) await add(tenant, { weight: 1 }, tenant);
  for (let n = 0; n < 3; n += 1) await parts.finish(await parts.take());
  for (let n = 0; n < 8; n += 1) {
    await add(`w${n}`, { weight: 1 }, 'W');
    await parts.finish(await parts.take());
  }
  const accounts = await parts.redis.keys('qtest:share:*');
  expect(accounts.length).toBeLessThanOrEqual(1);
});

test('what jobs cost is kept for so many kinds of graph', async () => {
  await parts.redis.zadd(
    'qtest:costs-recent',
    ...Array.from({ length: 10_000 }, (_, n) => [n, `s${n}`]).flat(),
  );
  await parts.add('a', {
    tenant: { id: 'T', limits: { weight: 1 } },
    cost: { signature: 'new', estimateMs: 5 },
  });
  await parts.finish(await parts.take());
  expect(await parts.redis.zcard('qtest:costs-recent')).toBe(10_000);
  expect(await parts.redis.zscore('qtest:costs-recent', 'new')).not.toBeNull();
});
