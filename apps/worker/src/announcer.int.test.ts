import { createHash } from 'node:crypto';
import { afterEach, describe, expect, test } from '@jest/globals';
import { workerId } from '@tiercel/contracts';
import { AnnouncementBoard } from '@tiercel/events';
import { systemClock } from '@tiercel/runtime';
import { until } from '@tiercel/testkit';
import { Announcer } from './announcer.ts';
import type { Offer } from './describe-offer.ts';
import { log, useJobs } from './worker.test-helpers.ts';

const jobs = useJobs();
const started: Announcer[] = [];

afterEach(async () => {
  for (const announcer of started.splice(0)) await announcer.stop();
});

const EMPTY: Offer = {
  ...{ objectInfo: {}, models: {}, embeddings: [], devices: [], tiers: [], servers: [] },
  ...{ extensions: [], system: undefined, features: {}, nodeReplacements: {} },
};

/** An announcer whose offer the test sets, and what the API processes would be told of it at once. */
async function open() {
  const board = new AnnouncementBoard(jobs.redis, jobs.names);
  const state = { offer: EMPTY, problem: undefined as Error | undefined, running: 0 };
  const announcer = new Announcer({
    ...{ tierStates: board, workerId: workerId('w1'), concurrency: 3, clock: systemClock, log },
    offer: () => (state.problem ? Promise.reject(state.problem) : Promise.resolve(state.offer)),
    running: () => state.running,
  });
  const told: string[] = [];
  const ear = jobs.connect('subscriber');
  ear.on('message', (_, id: string) => told.push(id));
  await ear.subscribe(jobs.names.announceChannel);
  const read = async () => (await board.readLive())[0];
  return {
    ...{ announcer, state, told, read, board },
    start: async () => {
      await announcer.start();
      started.push(announcer);
    },
  };
}

describe('an announcer', () => {
  test('says at the start what the worker can run, and leaves its catalogue', async () => {
    const { start, state, read } = await open();
    state.offer = { ...EMPTY, objectInfo: { A: { input: {} } } as unknown as Offer['objectInfo'] };
    await start();
    const text = '{"A":{"input":{}}}';
    const catalogueHash = createHash('sha256').update(text).digest('hex');
    expect(await read()).toMatchObject({
      ...{ workerId: 'w1', pid: process.pid, concurrency: 3, running: 0, catalogueHash },
    });
    expect(await jobs.redis.get(jobs.names.catalogue(catalogueHash))).toBe(text);
  });

  test('tells a change at once, and what is none at its next heartbeat only', async () => {
    const { announcer, start, state, told, read } = await open();
    await start();
    await until(() => told.length === 1);
    state.running = 2;
    announcer.tellNow();
    await until(async () => (await read())?.running === 2);
    state.offer = { ...EMPTY, embeddings: ['e'] };
    announcer.tellNow();
    await until(async () => (await read())?.embeddings.length === 1);
    await until(() => told.length === 2);
    expect(told).toEqual(['w1', 'w1']);
  });

  test('announces the looks that were had, the last 32 of them', async () => {
    const { announcer, start, read } = await open();
    await start();
    for (let n = 0; n < 40; n += 1) announcer.reportRefresh(`l${n}`);
    await until(async () => (await read())?.serverRefresh.at(-1) === 'l39');
    expect((await read())?.serverRefresh).toHaveLength(32);
  });

  test('goes on after an announcement that failed', async () => {
    const { announcer, start, state, read } = await open();
    await start();
    state.problem = new Error('the offer could not be read');
    announcer.tellNow();
    state.problem = undefined;
    state.running = 1;
    announcer.tellNow();
    await until(async () => (await read())?.running === 1);
  });

  test('withdraws at its stop and says nothing before its start', async () => {
    const { announcer, board, told } = await open();
    announcer.tellNow();
    await announcer.start();
    await until(() => told.length === 1);
    await announcer.stop();
    await until(() => told.length === 2);
    expect(await board.readLive()).toEqual([]);
  });
});
