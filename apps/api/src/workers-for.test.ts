import { expect, test } from '@jest/globals';
import { describeFleet, OPEN_CALLER, type KnownProfile, type PoolRules } from '@tiercel/contracts';
import { WorkersFor } from './workers-for.ts';

const worker = (id: string, classes: readonly string[], rules: Partial<PoolRules> = {}) => ({
  ...{ id, isLive: true },
  profile: { pool: { name: 'default', ...rules }, tiers: ['t1'], classes: [...classes] },
});
const needs = (...classes: string[]) => ({
  ...{ classes, models: [] },
  cost: { signature: 'slow', estimateMs: 10 },
});

/** Runs of the signature `slow` have taken 900 ms. */
const open = (profiles: readonly KnownProfile[], plan: { pool?: string; tiers?: string[] } = {}) =>
  new WorkersFor({
    fleet: () => describeFleet(profiles),
    planOf: () => plan,
    producer: { expectCostMs: ({ signature }) => Promise.resolve(signature === 'slow' ? 900 : 1) },
  });

test('nobody asks while all workers are alike and the plan names none of them', () => {
  expect(open([worker('aa', ['A'])]).readPlan(OPEN_CALLER)).toBeUndefined();
  expect(open([]).readPlan(OPEN_CALLER)).toBeUndefined();
});

test.each([{ pool: 'gpu' }, { tiers: ['t2'] }])(
  'a plan that names workers which there are not is refused, although all are alike: %j',
  async (plan) => {
    const workers = open([worker('aa', ['A'])], plan);
    const read = workers.readPlan(OPEN_CALLER);
    expect(read).toEqual(plan);
    await expect(workers.find(read!, needs('A'))).rejects.toMatchObject({
      code: 'no_worker_for_job',
    });
  },
);

test('a refusal names what no worker has', async () => {
  const workers = open([worker('aa', ['A']), worker('bb', ['B'])]);
  await expect(workers.find({}, needs('A', 'C', 'D'))).rejects.toThrow('none has C, D');
  await expect(workers.find({}, needs('A', 'B'))).rejects.toThrow('none has all of its nodes');
});

test('a pool for short jobs gets none that took long before, whoever asks', async () => {
  const fast = worker('aa', ['A'], { name: 'fast', maxCostMs: 500 });
  const any = worker('bb', ['A']);
  const { verdict, cost } = await open([fast, any]).find({}, needs('A'));
  expect([verdict.kind, cost]).toEqual([';bb=0;', needs().cost]);
  await expect(open([fast]).find({}, needs('A'))).rejects.toMatchObject({
    code: 'no_worker_for_job',
  });
  // Where no pool asks for it, what a job costs is not learnt for it.
  expect((await open([any, worker('cc', ['B'])]).find({}, needs('A'))).cost).toBeUndefined();
});
