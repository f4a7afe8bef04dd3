import { describe, expect, test } from '@jest/globals';
import { DEFAULT_TENANT } from '@tiercel/contracts';
import { useQueueParts } from './queue.test-helpers.ts';
import type { TenantLimits } from './tenant-limits.ts';

const parts = useQueueParts();
const FREE: TenantLimits = { weight: 1 };

async function add(id: string, tenant: string, limits = FREE): Promise<void> {
  await parts.add(id, { tenant: { id: tenant, ...(tenant === DEFAULT_TENANT ? {} : { limits }) } });
}

/** As if a tenant's jobs had been posted, and its last one started, so long before. */
async function letWait(tenant: string, ms: number): Promise<void> {
  const { redis, names } = parts;
  const set = names.ofTenant(names.byState('created', 'pending'), tenant);
  for (const member of await redis.zrange(set, 0, '-1')) await redis.zincrby(set, -ms, member);
  const started = `${names.prefix}:started:${tenant}`;
  const at = await redis.get(started);
  if (at !== null) await redis.set(started, Number(at) - ms);
}

/** In whole minutes. */
const readAge = async (): Promise<number> =>
  Math.round((await parts.reader.readTurnAgeMs()) / 60_000);
const MINUTES = 60_000;

describe('how long tenants wait for their turn', () => {
  test('is that of the one that has waited longest, since it came', async () => {
    expect(await readAge()).toBe(0);
    for (const tenant of ['one', 'two']) await add(`of-${tenant}`, tenant);
    await letWait('one', 3 * MINUTES);
    await letWait('two', 7 * MINUTES);
    expect(await readAge()).toBe(7);
  });

  test('is not that of the queue: whoever is served does not wait, however much he has queued', async () => {
    for (const tenant of ['flood', DEFAULT_TENANT]) {
      for (let n = 0; n < 5; n += 1) await add(`${tenant}-${n}`, tenant);
      await letWait(tenant, 60 * MINUTES);
    }
    expect(await readAge()).toBe(60);
    const running = [await parts.take(), await parts.take()];
    expect(running.map((job) => job?.tenant).sort()).toEqual([DEFAULT_TENANT, 'flood']);
    expect(await readAge()).toBe(0);
    // Between two of its jobs a tenant waits since the start of the last.
    await parts.finish(running.find((job) => job?.tenant === 'flood'));
    expect(await readAge()).toBe(0);
    await letWait('flood', 2 * MINUTES);
    expect(await readAge()).toBe(2);
  });

  test('does not count who is at a limit of his own', async () => {
    const limits = { weight: 1, maxRunning: 1, intervalMs: 3_600_000 };
    for (const id of ['a', 'b']) await add(id, 'slow', limits);
    await parts.finish(await parts.take());
    await letWait('slow', 30 * MINUTES);
    expect(await readAge()).toBe(0);
  });
});
