import { describe, expect, test } from '@jest/globals';
import type { NewJob } from '../producer.ts';
import { result, useQueueParts } from '../queue.test-helpers.ts';
import type { TakenJob } from '../taken-job.ts';
import { EstimateErrors } from './estimate-errors.ts';
import type { Estimate } from './forecast.ts';
import { Forecaster } from './forecaster.ts';
import { log } from '../queue.test-helpers.ts';

/** What is said of waiting jobs, by the real scripts, after runs whose length the tests choose. */

const queue = useQueueParts();
let hands = 1;
const forecaster = (): Forecaster => new Forecaster({ ...queue, hands: () => hands });
/** Room for the time that the test itself takes. */
const NEAR_MS = 400;

async function estimate(id: string, tenant?: string): Promise<Estimate | undefined> {
  return (await forecaster().estimate([id], tenant)).get(id);
}

/** Ends a job as if it had run for so long. */
async function end(job: TakenJob | undefined, ranMs: number): Promise<void> {
  if (job === undefined) throw new Error('nothing was taken');
  const now = Date.now();
  await queue.consumer.finish(job, result(job.id, 'success', now), now - ranMs, undefined);
}

/** Makes it known how long jobs run. */
async function learn(ranMs: number, fields: Partial<NewJob> = {}): Promise<void> {
  await queue.add('learned', fields);
  await end(await queue.take(), ranMs);
}

/** Seconds until a time, to a tenth. */
const expectNear = (timeMs: number | undefined, inMs: number): void => {
  expect(Math.abs((timeMs ?? 0) - Date.now() - inMs)).toBeLessThan(NEAR_MS);
};

describe('a waiting job', () => {
  test('has a position and no time while no job has run', async () => {
    hands = 1;
    await queue.add('a');
    await queue.add('b');
    expect(await estimate('b')).toEqual({
      ...{ position: 2, ahead: undefined, startMs: undefined, endMs: undefined },
    });
    expect(await estimate('c')).toBeUndefined();
  });

  test('has no time while nobody takes jobs', async () => {
    hands = 0;
    await learn(10_000);
    await queue.add('a');
    expect(await estimate('a')).toMatchObject({ position: 1, startMs: undefined });
  });

  test('starts after those before it, on as many hands as there are', async () => {
    hands = 2;
    await learn(10_000);
    for (let n = 0; n < 7; n += 1) await queue.add(`j${n}`);
    await queue.take();
    await queue.take();
    // Two run; j2 and j3 follow them, then j4 and j5.
    const waits = [10_000, 10_000, 20_000, 20_000, 30_000];
    for (const [index, inMs] of waits.entries()) {
      const found = await estimate(`j${index + 2}`);
      expect(found?.position).toBe(index + 1);
      expectNear(found?.startMs, inMs);
      expectNear(found?.endMs, inMs + 10_000);
    }
  });

  test('waits for those that were taken since the others were read', async () => {
    hands = 1;
    await learn(10_000);
    for (let n = 0; n < 3; n += 1) await queue.add(`j${n}`);
    const reader = forecaster();
    expectNear((await reader.estimate(['j1'])).get('j1')?.startMs, 10_000);
    await queue.take();
    expectNear((await reader.estimate(['j1'])).get('j1')?.startMs, 10_000);
    expectNear((await reader.estimate(['j2'])).get('j2')?.startMs, 20_000);
  });

  test('of a client starts when those of its client have run, however many hands are idle', async () => {
    hands = 4;
    await learn(10_000);
    for (let n = 0; n < 3; n += 1) await queue.add(`j${n}`, { clientId: 'c' });
    await queue.take();
    expectNear((await estimate('j1'))?.startMs, 10_000);
    expectNear((await estimate('j2'))?.startMs, 20_000);
  });

  test('does not wait for the backlog of another client, which has its own hand', async () => {
    hands = 2;
    await learn(10_000);
    for (let n = 0; n < 20; n += 1) await queue.add(`many${n}`, { clientId: 'many' });
    await queue.add('single', {});
    await queue.take();
    await queue.take();
    await queue.add('late', { clientId: 'late' });
    expectNear((await estimate('late'))?.startMs, 10_000);
  });
});

describe('a tenant', () => {
  const of = (id: string, limits: object = {}): Partial<NewJob> => ({
    tenant: { id, limits: { weight: 1, ...limits } },
    cost: { signature: 'same', estimateMs: 100 },
  });

  test('waits behind others as its weight says', async () => {
    hands = 1;
    await learn(10_000, of('x'));
    for (let n = 0; n < 10; n += 1) {
      await queue.add(`light${n}`, of('light'));
      await queue.add(`heavy${n}`, of('heavy', { weight: 3 }));
    }
    // One of each has had its turn.
    for (let n = 0; n < 2; n += 1) await end(await queue.take(), 10_000);
    const [light, heavy] = [await estimate('light5', 'light'), await estimate('heavy5', 'heavy')];
    expect([light?.position, heavy?.position]).toEqual([5, 5]);
    // 4 of its own and 9 of the other's before it; 4 of its own and about 1 or 2.
    const inSeconds = (found: Estimate | undefined) => ((found?.startMs ?? 0) - Date.now()) / 1_000;
    expect(inSeconds(light)).toBeGreaterThan(110);
    expect(inSeconds(light)).toBeLessThan(150);
    expect(inSeconds(heavy)).toBeGreaterThan(35);
    expect(inSeconds(heavy)).toBeLessThan(75);
  });

  test('that has just come does not wait for the backlog of others', async () => {
    hands = 1;
    await learn(10_000, of('x'));
    for (let n = 0; n < 50; n += 1) await queue.add(`flood${n}`, of('flood'));
    await queue.take();
    await queue.add('new', of('newcomer'));
    const found = await estimate('new', 'newcomer');
    expect(found).toMatchObject({ position: 1, ahead: 0 });
    expectNear(found?.startMs, 10_000);
  });

  test('at its limits waits for them, not for hands', async () => {
    hands = 8;
    await learn(10_000, of('x'));
    for (let n = 0; n < 3; n += 1) await queue.add(`one${n}`, of('one', { maxRunning: 1 }));
    for (let n = 0; n < 3; n += 1) await queue.add(`slow${n}`, of('slow', { intervalMs: 30_000 }));
    await queue.take();
    await queue.take();
    expectNear((await estimate('one2', 'one'))?.startMs, 20_000);
    expectNear((await estimate('slow1', 'slow'))?.startMs, 30_000);
    expectNear((await estimate('slow2', 'slow'))?.startMs, 60_000);
  });

  test('is told of graphs that have not run by what graphs run for that ask as much', async () => {
    hands = 1;
    await learn(10_000, of('x'));
    await queue.add('first', of('t'));
    await queue.take();
    await queue.add('twice', { ...of('t'), cost: { signature: 'new', estimateMs: 200 } });
    const found = await estimate('twice', 't');
    expectNear(found?.startMs, 10_000);
    expectNear(found?.endMs, 30_000);
  });
});

test('what was said is compared with what came, once for each job', async () => {
  hands = 1;
  await learn(2_000);
  await queue.add('a');
  await queue.take();
  await queue.add('b');
  const seen: [string, number][] = [];
  const said = forecaster();
  const errors = new EstimateErrors({
    ...{ ...queue, forecaster: said, log },
    observe: (of, seconds) => seen.push([of, seconds]),
  });
  errors.note(await said.estimate(['b']), 'default');
  await errors.check();
  expect(seen).toEqual([]);
  const job = await queue.take();
  await errors.check();
  await end(job, 5_000);
  await errors.check();
  await errors.check();
  expect(seen.map(([of]) => of)).toEqual(['start', 'end']);
  // It was taken about two seconds before it was expected, and ended four before.
  expect(Math.abs((seen[0]?.[1] ?? 0) - 2)).toBeLessThan(0.5);
  expect(Math.abs((seen[1]?.[1] ?? 0) - 4)).toBeLessThan(0.5);
});
