import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import type { NewJob } from './producer.ts';
import type { JobUsage } from './job-usage.ts';
import { result, useQueueParts } from './queue.test-helpers.ts';

/** What ended jobs used is counted in the step that ends them. */

const DATES = readFileSync(
  new URL('../../contracts/src/lua/includes/dates.lua', import.meta.url),
  'utf8',
);

const parts = useQueueParts();
const DAY_MS = 86_400_000;
const tenant = { id: 'acme', limits: { weight: 1 } };

function usage(costMicros = 40_000, tier = 'paid'): JobUsage {
  const use = { tier, images: 1, pixels: 65_536, runMs: 120, costMicros };
  return { tier, uses: [use], keptDays: 10 };
}

async function readToday(): Promise<string> {
  const [seconds] = await parts.redis.time();
  return new Date(Number(seconds) * 1_000).toISOString().slice(0, 10);
}

const readUsage = async (id = 'acme'): Promise<Record<string, string>> =>
  await parts.redis.hgetall(parts.names.usage(await readToday(), id));

async function end(
  id: string,
  used: JobUsage | undefined,
  outcome: 'success' | 'error' | 'interrupted' = 'success',
  fields: Partial<NewJob> = { tenant },
): Promise<void> {
  await parts.add(id, fields);
  const job = (await parts.take())!;
  await parts.consumer.finish(job, result(id, outcome), Date.now(), undefined, used);
}

test('jobs count by outcome, tier and day, for their tenant and for all together', async () => {
  await end('a', usage());
  await end('b', usage(), 'error');
  await end('c', { tier: undefined, uses: [], keptDays: 10 }, 'interrupted');
  await end('d', usage(1, 'other'), 'success', { tenant: { id: 'b:c', limits: { weight: 1 } } });
  const paid = {
    'paid:run_ms': '240',
    'paid:images': '2',
    'paid:pixels': '131072',
    'paid:cost': '80000',
  };
  const own = { ...paid, 'paid:success': '1', 'paid:error': '1', ':interrupted': '1' };
  expect(await readUsage()).toEqual(own);
  expect(await readUsage('b:c')).toMatchObject({ 'other:success': '1', 'other:cost': '1' });
  const total = await parts.redis.hgetall(parts.names.usageTotal(await readToday()));
  expect(total).toMatchObject({ ...own, 'other:success': '1' });
  const today = await readToday();
  const list = async (by: 'name' | 'cost') =>
    await parts.redis.zrange(parts.names.usageTenants(today, by), 0, '-1');
  expect([await list('name'), await list('cost')]).toEqual([
    ['acme', 'b:c'],
    ['b:c', 'acme'],
  ]);
});

test('what is spent counts for the day and the month, and is forgotten after them', async () => {
  await end('a', usage());
  await end('b', usage(5));
  const today = await readToday();
  for (const period of [today, today.slice(0, 7)]) {
    const key = parts.names.spent(period, 'acme');
    expect(await parts.redis.get(key)).toBe('40005');
    expect(await parts.redis.pttl(key)).toBeLessThan(33 * DAY_MS);
  }
  const [day, kept] = await Promise.all([
    parts.redis.pttl(parts.names.spent(today, 'acme')),
    parts.redis.pttl(parts.names.usage(today, 'acme')),
  ]);
  expect(day).toBeGreaterThan(DAY_MS);
  expect(Math.round((kept - day) / DAY_MS)).toBe(9);
});

test('nothing is counted of a run that has no right to end the job, nor where nobody counts', async () => {
  await parts.add('a', { tenant });
  const lost = (await parts.take('permit'))!;
  const present = (await parts.take('permit'))!;
  const reply = await parts.consumer.finish(lost, result('a'), Date.now(), undefined, usage());
  expect([reply.ours, await readUsage()]).toEqual([false, {}]);
  await parts.consumer.finish(present, result('a'), Date.now(), undefined, usage());
  expect(await readUsage()).toMatchObject({ 'paid:success': '1' });
  const listKeys = async () => (await parts.redis.keys('*usage*')).sort();
  const before = await listKeys();
  await end('b', undefined, 'success', {});
  expect(await listKeys()).toEqual(before);
});

test('a job that would overspend is refused at once, one that fits is not', async () => {
  await end('a', usage(60_000));
  const budget = (leastMicros: number) => ({
    tenant,
    admission: {
      ...{ plan: 'p', maxPending: undefined, jobsPerDay: undefined, intervalMs: undefined },
      budget: { leastMicros, dayMicros: 100_000, monthMicros: undefined },
    },
  });
  await parts.add('b', budget(40_000));
  await expect(parts.add('c', budget(40_001))).rejects.toMatchObject({
    code: 'budget_used',
    message: expect.stringMatching(/plan p allows 0\.1 a day .* 0\.06 are spent.*0\.040001/),
  });
});

/** Days that a calendar of its own could get wrong. */
test.each(['2026-02-28', '2027-03-01', '2028-02-29', '2028-12-31', '2100-03-01', '2400-02-29'])(
  'Redis and we name the day %s alike',
  async (day) => {
    const script = `local now = 0\n${DATES}\nreturn date_of(tonumber(ARGV[1]))`;
    expect(await parts.redis.eval(script, 0, Date.parse(day) + 5)).toBe(day);
  },
);
