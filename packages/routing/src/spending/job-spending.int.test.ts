import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { claimId, jobIdOf, RedisNames, type TierPrice } from '@tiercel/contracts';
import { connectRedis, createLogger, type Redis } from '@tiercel/runtime';
import { startTestRedis, stopEverything, until } from '@tiercel/testkit';
import fc from 'fast-check';
import { AttemptAccount } from './attempt-account.ts';
import { JobSpending, type OverBudget, type TenantBudget } from './job-spending.ts';

/** What jobs of one tenant reserve and spend at once, each in a run of its own. */

const TENANT = 'acme';
const { signal } = new AbortController();
const ONE = { images: 1, pixels: 1_000_000 };

let redis: Redis;
let names: RedisNames;
let rounds = 0;

beforeAll(async () => {
  const log = createLogger({ level: 'silent', name: 'test' });
  redis = connectRedis((await startTestRedis()).url, 'patient', log);
});
beforeEach(() => {
  names = new RedisNames(`s${(rounds += 1)}`);
});
afterAll(async () => {
  redis.disconnect();
  await stopEverything();
});

/** What taking a job leaves on its record and among the running ones. */
async function take(id: string, claim = `claim of ${id}`.replaceAll(' ', '-')): Promise<void> {
  const jobId = jobIdOf(TENANT, id);
  await redis.hset(names.job(jobId), { state: 'running', claim });
  await redis.zadd(names.ofTenant(names.running, TENANT), 1, jobId);
}

/** What its end leaves. */
async function end(id: string, costMicros: number): Promise<void> {
  const jobId = jobIdOf(TENANT, id);
  await redis
    .multi()
    .hset(names.job(jobId), 'state', 'success')
    .zrem(names.ofTenant(names.running, TENANT), jobId)
    .incrby(names.spent(new Date().toISOString().slice(0, 10), TENANT), costMicros)
    .exec();
}

function open(
  id: string,
  prices: Readonly<Record<string, TierPrice>>,
  budget: TenantBudget,
  { claim = `claim-of-${id}`, onVoid = (): void => undefined } = {},
): JobSpending {
  return new JobSpending({
    ...{ redis, names, jobId: jobIdOf(TENANT, id), claimId: claimId(claim), onVoid },
    budget: () => budget,
    tierOf: (name) => ({ price: prices[name], expect: () => ONE, counts: 'asked' }),
  });
}

const PRICES = { dear: { perImage: 0.4 }, cheap: { perImage: 0.1 }, timed: { perSecond: 1 } };

async function begin(spending: JobSpending, tier: string): Promise<AttemptAccount> {
  const account = await spending.begin(tier, undefined, { signal });
  if (account instanceof AttemptAccount) return account;
  throw new Error(account.reason);
}

test('only an attempt that costs money makes a run one that was paid for', async () => {
  await take('a');
  const spending = open('a', PRICES, { day: 0.3 });
  await begin(spending, 'free');
  await refused(spending, 'dear');
  expect(spending.isPaid).toBe(false);
  await begin(spending, 'cheap');
  expect(spending.isPaid).toBe(true);
});

async function refused(spending: JobSpending, tier: string): Promise<OverBudget> {
  const found = await spending.begin(tier, undefined, { signal });
  if (found instanceof AttemptAccount) throw new Error('it was let in');
  return found;
}

describe('an attempt', () => {
  test('is refused by what others have reserved for now, by what they have spent for good', async () => {
    for (const id of ['a', 'b']) await take(id);
    const [a, b] = [open('a', PRICES, { day: 0.7 }), open('b', PRICES, { day: 0.7 })];
    await begin(a, 'dear');
    expect(await refused(b, 'dear')).toEqual({
      reason: 'an attempt costs about 0.4, and running jobs leave 0.3 of the budget of 0.7 a day',
      retryInMs: expect.any(Number),
    });
    await end('a', 400_000);
    expect(await refused(b, 'dear')).toEqual({
      reason: 'an attempt costs about 0.4, and 0.3 of the budget of 0.7 a day are left',
      retryInMs: undefined,
    });
    const obstacles = await b.findObstacles(['dear', 'cheap', 'unpriced'], () => undefined, signal);
    expect([...obstacles.keys()]).toEqual(['dear']);
    await begin(b, 'cheap');
  });

  test('counts what earlier attempts of its run have cost', async () => {
    await take('a');
    const a = open('a', PRICES, { day: 0.7 });
    const first = await begin(a, 'dear');
    first.countPictures(1, 1);
    first.end('failed', 10);
    expect(await refused(a, 'dear')).toMatchObject({ retryInMs: undefined });
    (await begin(a, 'cheap')).end('abandoned', 10);
    expect(a.settle(undefined).map(({ tier, costMicros }) => [tier, costMicros])).toEqual([
      ['dear', 400_000],
      ['cheap', 100_000],
    ]);
  });

  test('that failed without a picture gives back what was reserved for it', async () => {
    await take('a');
    const a = open('a', PRICES, { month: 0.4 });
    (await begin(a, 'dear')).end('failed', 10);
    await begin(a, 'dear');
  });

  test('of a run that has lost its job reserves nothing, and the run is told', async () => {
    for (const id of ['a', 'b']) await take(id);
    await begin(open('a', PRICES, { day: 0.4 }), 'dear');
    const b = open('b', PRICES, { day: 0.4 });
    await refused(b, 'dear');
    await take('a', 'another');
    await begin(b, 'dear');
    let told = 0;
    const lost = open('a', PRICES, { day: 1 }, { onVoid: () => (told += 1) });
    await expect(begin(lost, 'dear')).rejects.toThrow();
    expect(told).toBe(1);
  });

  test('that is under way already is reserved whatever the budget', async () => {
    for (const id of ['a', 'b']) await take(id);
    const a = open('a', PRICES, { day: 0.1 });
    expect(await a.begin('dear', undefined, { signal, isForced: true })).toBeInstanceOf(
      AttemptAccount,
    );
    expect(await refused(open('b', PRICES, { day: 0.1 }), 'cheap')).toMatchObject({
      reason: expect.stringContaining('leave 0 of'),
    });
  });

  test('at a price per second goes on while there is money, and is stopped before there is none', async () => {
    await take('a');
    const account = await begin(open('a', PRICES, { day: 2 }), 'timed');
    const startedAt = performance.now();
    let stoppedMs = 0;
    account.watch(() => {
      stoppedMs = performance.now() - startedAt;
    });
    await until(() => stoppedMs > 0, 4_000);
    expect(stoppedMs).toBeGreaterThan(1_000);
    expect(stoppedMs).toBeLessThan(2_000);
  });
});

test('whatever begins and ends at once, no more is spent and reserved than the budget', async () => {
  const step = fc.record({
    job: fc.integer({ min: 0, max: 5 }),
    tier: fc.constantFrom('dear', 'cheap'),
    ends: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 10, maxLength: 40 }),
      fc.integer({ min: 1, max: 25 }),
      async (steps, tenths) => {
        names = new RedisNames(`s${(rounds += 1)}`);
        const budget = { day: tenths / 10 };
        const runs = Array.from({ length: 6 }, (_, n) => open(`j${n}`, PRICES, budget));
        for (let n = 0; n < 6; n += 1) await take(`j${n}`);
        const ended = new Set<number>();
        await Promise.all(
          steps.map(async ({ job, tier, ends }) => {
            const run = runs[job]!;
            const account = await run.begin(tier, undefined, { signal }).catch(() => undefined);
            if (!(account instanceof AttemptAccount)) return;
            account.countPictures(1, 1);
            account.end('done', 1);
            if (!ends || ended.has(job)) return;
            ended.add(job);
            await end(`j${job}`, sum(run));
          }),
        );
        for (const [job, run] of runs.entries())
          if (!ended.has(job)) await end(`j${job}`, sum(run));
        const spent = await redis.get(names.spent(new Date().toISOString().slice(0, 10), TENANT));
        expect(Number(spent)).toBeLessThanOrEqual(tenths * 100_000);
      },
    ),
    { numRuns: 30 },
  );
});

const sum = (run: JobSpending): number =>
  run.settle(undefined).reduce((total, { costMicros }) => total + costMicros, 0);
