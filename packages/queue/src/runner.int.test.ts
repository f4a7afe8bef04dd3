import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { connectRedis } from '@tiercel/runtime';
import {
  expectNothingFor,
  startTestRedis,
  stopEverything,
  until,
  type TestRedis,
} from '@tiercel/testkit';
import type { PermitLease } from './permit-lease.ts';
import { addPermits } from './permits.ts';
import { log, openQueueParts, type QueueParts } from './queue.test-helpers.ts';
import { PermitRunner } from './runner.ts';

/** A lock that is short for a test, and long for a machine under load. */
const LOCK_MS = 900;

let server: TestRedis;
let parts: QueueParts;
let rounds = 0;
const closers: (() => Promise<void>)[] = [];

beforeAll(async () => {
  server = await startTestRedis();
});
beforeEach(() => {
  parts = openQueueParts(server.url, `runner${(rounds += 1)}`);
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  await parts.close();
});
afterAll(stopEverything);

/** One process with a runner; its runs end when the test says so. */
function startRunner(concurrency = 4) {
  const redis = connectRedis(server.url, 'blocking', log);
  const runs: { lease: PermitLease; end: () => void; endUnasked: () => void }[] = [];
  const doubts: string[] = [];
  const runner = new PermitRunner({
    ...{ redis, names: parts.names, log },
    options: { concurrency, lockMs: LOCK_MS },
    run: (lease) =>
      new Promise((end) => {
        runs.push({
          lease,
          end: () => {
            lease.noteNothing();
            end();
          },
          endUnasked: end,
        });
      }),
    onDoubt: (permit) => {
      doubts.push(permit);
      return Promise.resolve();
    },
    addPermit: () => parts.consumer.addPermit(),
  });
  runner.start();
  closers.push(async () => {
    for (const { end } of runs) end();
    await runner.stop();
    redis.disconnect();
  });
  return { runs, doubts, runner };
}

const lockOf = (permit: string): string => `${parts.names.bullPrefix}:permits:${permit}:lock`;
const countOpen = (): Promise<number> => parts.permits.getJobCountByTypes('active', 'waiting');

describe('a worker that is called', () => {
  /** A runner whose permits each find one job, as many times as there are jobs. */
  const startCalled = (concurrency: number) => {
    const started = startRunner(concurrency);
    return {
      ...started,
      work: (index: number) => {
        started.runs[index]!.lease.noteJob();
      },
    };
  };

  test('fetches a permit for each free hand, as long as there are jobs', async () => {
    const { runs, runner, work } = startCalled(2);
    const calls = [runner.call(), runner.call()];
    await until(() => runs.length === 1);
    work(0);
    await until(() => runs.length === 2);
    work(1);
    await Promise.all(calls);
    expect(runs).toHaveLength(2);
    await until(async () => {
      // What was called for meanwhile is looked after too.
      for (const { end } of runs) end();
      return (await countOpen()) === 0;
    });
  });

  test('ends its permit when another was quicker, and fetches no further one', async () => {
    const { runs, runner } = startCalled(4);
    const called = runner.call();
    await until(() => runs.length === 1);
    runs[0]!.end();
    await called;
    await until(async () => (await countOpen()) === 0);
    await expectNothingFor(LOCK_MS);
    expect(runs).toHaveLength(1);
  });

  test('uses a permit that waits already', async () => {
    const { runs, runner, work } = startCalled(1);
    await addPermits(parts.permits, 1);
    await until(() => runs.length === 1);
    work(0);
    await addPermits(parts.permits, 1);
    // No hand is free: nothing is fetched, nothing is added.
    await runner.call();
    expect(await countOpen()).toBe(2);
    for (const index of [0, 1]) {
      await until(() => runs.length === index + 1);
      runs[index]!.end();
    }
    await until(async () => (await countOpen()) === 0);
  });

  test('sends back what is delivered beyond its hands: others get it, and it comes no second time', async () => {
    const busy = startCalled(1);
    const called = busy.runner.call();
    await until(() => busy.runs.length === 1);
    busy.work(0);
    await called;
    await addPermits(parts.permits, 1);
    await expectNothingFor(LOCK_MS);
    expect(busy.runs).toHaveLength(1);
    const idle = startRunner(1);
    await until(() => idle.runs.length === 1);
    idle.runs[0]!.end();
    busy.runs[0]!.end();
    await until(async () => (await countOpen()) === 0);
  });

  test('looks once more when a hand is freed that nobody has looked for a job for', async () => {
    const { runs, runner, work } = startCalled(1);
    const called = runner.call();
    await until(() => runs.length === 1);
    work(0);
    await called;
    runs[0]!.endUnasked();
    await until(() => runs.length === 2);
    runs[1]!.end();
    await until(async () => (await countOpen()) === 0);
    expect(runs).toHaveLength(2);
  });

  test('follows what it is called for while it is busy, or paused, afterwards', async () => {
    const { runs, runner } = startCalled(1);
    await addPermits(parts.permits, 1);
    await until(() => runs.length === 1);
    await runner.call();
    expect(await countOpen()).toBe(1);
    runs[0]!.end();
    await until(() => runs.length === 2);
    await runner.pause();
    runs[1]!.end();
    await until(async () => (await countOpen()) === 0);
    await runner.call();
    expect(await countOpen()).toBe(0);
    await runner.resume();
    await until(() => runs.length === 3);
    runs[2]!.end();
    await until(async () => (await countOpen()) === 0);
  });

  test('renews the lock of a permit that it has fetched', async () => {
    const { runs, doubts, runner, work } = startCalled(1);
    const called = runner.call();
    await until(() => runs.length === 1);
    work(0);
    await called;
    await expectNothingFor(2 * LOCK_MS);
    expect([runs.length, doubts.length]).toEqual([1, 0]);
    runs[0]!.end();
    await until(async () => (await countOpen()) === 0);
  });
});

describe('the lock of a permit', () => {
  test('is renewed for as long as its work takes', async () => {
    const { runs, doubts } = startRunner();
    await addPermits(parts.permits, 3);
    await until(() => runs.length === 3);
    await expectNothingFor(2 * LOCK_MS);
    expect([runs.length, doubts.length]).toEqual([3, 0]);
    for (const { end } of runs) end();
    await until(async () => (await countOpen()) === 0);
  });

  test('that runs out brings the permit back to the work that goes on, and is renewed again', async () => {
    const { runs, doubts } = startRunner();
    await addPermits(parts.permits, 1);
    await until(() => runs.length === 1);
    const [{ lease, end }] = runs as [(typeof runs)[0]];
    for (let time = 0; time < 3; time += 1) {
      const before = lease.delivery;
      await parts.redis.del(lockOf(lease.permit));
      await until(() => lease.isHeld && lease.delivery !== before);
    }
    expect(doubts.length).toBeGreaterThanOrEqual(3);
    // The end of an earlier delivery must not take the renewal of the last one with it.
    await expectNothingFor(2 * LOCK_MS);
    expect(await parts.redis.get(lockOf(lease.permit))).toBe(lease.delivery?.token);
    expect(runs).toHaveLength(1);
    end();
    // What the permit was delivered for meanwhile is looked after too.
    await until(() => runs.length === 2);
    runs[1]!.end();
    await until(async () => (await countOpen()) === 0);
  });

  test('is known to be lost while Redis has given the permit to nobody else', async () => {
    const { runs, doubts } = startRunner(1);
    await addPermits(parts.permits, 2);
    await until(() => runs.length === 1);
    const [{ lease, end }] = runs as [(typeof runs)[0]];
    await parts.redis.del(lockOf(lease.permit));
    await until(() => !lease.isHeld);
    await until(() => doubts.length > 2);
    end();
    // The hand is free: both permits come, the lost one to new work.
    await until(() => runs.length === 2);
    runs[1]!.end();
    await until(() => runs.length === 3);
    expect(runs.slice(1).map((run) => run.lease.permit)).toContain(lease.permit);
    runs[2]!.end();
    await until(async () => (await countOpen()) === 0);
  });

  test('that another process has got is left to it', async () => {
    const first = startRunner(1);
    await addPermits(parts.permits, 1);
    await until(() => first.runs.length === 1);
    const { permit } = first.runs[0]!.lease;
    const second = startRunner(1);
    await parts.redis.del(lockOf(permit));
    await until(() => second.runs.length === 1);
    expect(second.runs[0]!.lease.permit).toBe(permit);
    first.runs[0]!.end();
    await expectNothingFor(2 * LOCK_MS);
    expect(await parts.redis.get(lockOf(permit))).toBe(second.runs[0]!.lease.delivery?.token);
    second.runs[0]!.end();
    await until(async () => (await countOpen()) === 0);
  });

  test('runs out when the work leaves the permit, and somebody gets it soon', async () => {
    const { runs } = startRunner();
    await addPermits(parts.permits, 1);
    await until(() => runs.length === 1);
    const [{ lease, end }] = runs as [(typeof runs)[0]];
    lease.leave();
    end();
    await until(() => runs.length === 2);
    expect(runs[1]!.lease.permit).toBe(lease.permit);
  });
});
