import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startTestRedis, stopEverything } from '@tiercel/testkit';
import fc from 'fast-check';
import { Simulation } from './fair-share.test-helpers.ts';

/** Who is next among tenants, on the real scripts, with jobs whose run time is simulated. */

let redisUrl: string;
beforeAll(async () => {
  redisUrl = (await startTestRedis()).url;
});
const open: Simulation[] = [];
afterAll(async () => {
  for (const simulation of open) await simulation.close();
  await stopEverything();
});

function simulate(workers: number): Simulation {
  const simulation = new Simulation(redisUrl, workers);
  open.push(simulation);
  return simulation;
}

/** Deterministic noise in 0..1, so that a failure can be run again. */
function noise(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
}

const loads = fc.record({
  weight: fc.constantFrom(1, 2, 3),
  /** Mean run time in ms. */
  costMs: fc.integer({ min: 40, max: 200 }),
  /** What the caller expects of it: anything. */
  estimateMs: fc.constantFrom(1, 100, 5_000),
  isLearned: fc.boolean(),
});

describe('the share of a tenant', () => {
  test('is that of its weight, by what its jobs cost, with four workers and estimates that are wrong', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(loads, { minLength: 2, maxLength: 3 }),
        fc.integer({ min: 1, max: 1_000 }),
        async (tenants, seed) => {
          const simulation = simulate(4);
          const random = noise(seed);
          const add = async (index: number): Promise<void> => {
            const { weight, costMs, estimateMs, isLearned } = tenants[index]!;
            await simulation.add(`t${index}`, {
              limits: { weight },
              costMs: costMs * (0.5 + random()),
              expected: {
                // Unlearned: no two jobs are alike, so the wrong estimate stays what is expected.
                signature: `s${index}${isLearned ? '' : random()}`,
                estimateMs: isLearned ? estimateMs : Math.min(estimateMs, 300),
              },
            });
          };
          const indexes = tenants.map((_, index) => index);
          for (const index of indexes) for (let n = 0; n < 8; n += 1) await add(index);
          const weights = tenants.reduce((sum, { weight }) => sum + weight, 0);
          // Until two of the longest jobs are 5 % of the least share.
          const enoughMs = (2 * 300) / (0.05 / weights);
          let total = 0;
          while (total < enoughMs) {
            const { tenant } = simulation.taken.at(-1) ?? { tenant: 't0' };
            await Promise.all([simulation.step(), add(Number(tenant.slice(1)))]);
            total = [...simulation.served.values()].reduce((sum, ms) => sum + ms, 0);
          }
          for (const index of indexes) {
            const share = (simulation.served.get(`t${index}`) ?? 0) / total;
            const due = tenants[index]!.weight / weights;
            expect(Math.abs(share - due) / due).toBeLessThan(0.05);
          }
        },
      ),
      { numRuns: 4, interruptAfterTimeLimit: 20_000 },
    );
  });

  test('does not grow with the time that it was away, nor is what it owes forgotten', async () => {
    const simulation = simulate(1);
    const limits = { weight: 1 };
    const expected = { signature: 's', estimateMs: 100 };
    for (let n = 0; n < 40; n += 1)
      await simulation.add('stays', { limits, costMs: 100, expected });
    for (let n = 0; n < 20; n += 1) await simulation.step();
    // It was away for 20 jobs and comes with 10: they take turns from now on.
    for (let n = 0; n < 10; n += 1)
      await simulation.add('comes', { limits, costMs: 100, expected });
    const from = simulation.taken.length;
    for (let n = 0; n < 10; n += 1) await simulation.step();
    const turns = simulation.taken.slice(from).map(({ tenant }) => tenant);
    expect(turns.filter((tenant) => tenant === 'comes')).toHaveLength(5);
    expect(turns[0]).toBe('comes');

    // One job that took as long as five others: it comes back and waits as long.
    const debtor = simulate(1);
    for (let n = 0; n < 20; n += 1) await debtor.add('stays', { limits, costMs: 100, expected });
    await debtor.add('owes', {
      limits,
      costMs: 500,
      expected: { signature: 'x', estimateMs: 100 },
    });
    while (!debtor.taken.some(({ tenant }) => tenant === 'owes')) await debtor.step();
    while (debtor.served.get('owes') === undefined) await debtor.step();
    await debtor.add('owes', { limits, costMs: 100, expected });
    const since = debtor.taken.length;
    while (debtor.taken.filter(({ tenant }) => tenant === 'owes').length < 2) await debtor.step();
    expect(debtor.taken.length - since).toBeGreaterThanOrEqual(4);
  });
});

describe('a tenant that comes', () => {
  test('is next, whatever the others have queued, and several in the order of coming', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(loads, { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 0, max: 40 }),
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 4 }),
        async (heavy, stepsBefore, comers, workers) => {
          const simulation = simulate(workers);
          for (const [index, { weight, costMs, estimateMs }] of heavy.entries()) {
            for (let n = 0; n < 30; n += 1) {
              await simulation.add(`heavy${index}`, {
                limits: { weight },
                costMs,
                expected: { signature: `s${index}`, estimateMs },
              });
            }
          }
          for (let n = 0; n < stepsBefore; n += 1) await simulation.step();
          // Nobody else is new, and names come in the opposite order: who came first counts.
          while (new Set(simulation.taken.map(({ tenant }) => tenant)).size < heavy.length) {
            await simulation.step();
          }
          const names = Array.from({ length: comers }, (_, n) => `new${9 - n}`);
          const from = simulation.taken.length;
          for (const name of names) {
            await simulation.add(name, { limits: { weight: 1 }, costMs: 50 });
          }
          while (simulation.taken.length < from + comers) await simulation.step();
          const turns = simulation.taken.slice(from, from + comers).map(({ tenant }) => tenant);
          expect(turns).toEqual(names);
        },
      ),
      { numRuns: 25, interruptAfterTimeLimit: 20_000 },
    );
  });

  test('does not starve those that stay, however many come', async () => {
    const simulation = simulate(1);
    const limits = { weight: 1 };
    for (let n = 0; n < 3; n += 1) await simulation.add('zzz', { limits, costMs: 100 });
    let comers = 0;
    const come = () => simulation.add(`new${(comers += 1)}`, { limits, costMs: 100 });
    for (let n = 0; n < 3; n += 1) await come();
    // There are always some that have never had a turn.
    while (simulation.taken.filter(({ tenant }) => tenant === 'zzz').length < 3) {
      await come();
      await simulation.step();
      expect(comers).toBeLessThan(500);
    }
  });
});
