import { describe, expect, test } from '@jest/globals';
import { MemoryBudget, type MemoryAccount } from './memory-budget.ts';

/** 100 bytes: 40 are common, so one job may have 60. */
const createBudget = () =>
  new MemoryBudget({ maxBytes: 100, commonShare: 0.4, setting: 'worker.pictureMemoryBytes' });

/** Whether it has been granted by the time everything that can go on has gone on. */
async function isGranted(reserved: Promise<void>): Promise<boolean> {
  const pending = Symbol('pending');
  await new Promise(setImmediate);
  return (await Promise.race([reserved, Promise.resolve(pending)])) !== pending;
}

describe('the memory for pictures', () => {
  test('is shared by small jobs up to the common part', async () => {
    const budget = createBudget();
    const jobs = Array.from({ length: 4 }, () => budget.open());
    for (const job of jobs) await job.reserve(10);
    expect(budget.usedBytes).toBe(40);
    for (const job of jobs) job.close();
    expect(budget.usedBytes).toBe(0);
  });

  test('is never more than its limit, and one large job after the other comes to its end', async () => {
    const budget = createBudget();
    let most = 0;
    let ended = 0;
    const run = async (size: number) => {
      const job = budget.open();
      // In three steps, as the nodes of a graph: each holds what the one before has made.
      for (let step = 0; step < 3; step += 1) {
        await job.reserve(size / 3);
        most = Math.max(most, budget.usedBytes);
        await new Promise(setImmediate);
      }
      job.close();
      ended += 1;
    };
    await Promise.all([60, 6, 48, 30, 60, 12, 3, 57, 45, 60, 9].map(run));
    expect(ended).toBe(11);
    expect(most).toBeLessThanOrEqual(100);
    expect(budget.usedBytes).toBe(0);
  });

  test('goes to a job that waits as soon as another gives some back', async () => {
    const budget = createBudget();
    const [large, next] = [budget.open(), budget.open()];
    await large.reserve(60);
    const waiting = next.reserve(50);
    expect(await isGranted(waiting)).toBe(false);
    await large.settle(20); // its large picture is gone: it is a small job now
    expect(await isGranted(waiting)).toBe(true);
    expect(budget.usedBytes).toBe(70);
  });

  test('lets small jobs go on beside a large one', async () => {
    const budget = createBudget();
    await budget.open().reserve(60);
    const small = budget.open();
    await small.reserve(40);
    const waiting = budget.open().reserve(1);
    expect(await isGranted(waiting)).toBe(false);
    small.close();
    expect(await isGranted(waiting)).toBe(true);
  });

  test('is refused, with a sentence, to a job that may never have that much', async () => {
    const budget = createBudget();
    const job = budget.open();
    await job.reserve(30);
    await expect(job.reserve(31)).rejects.toThrow(
      /^The pictures need 1 MiB of memory at once, more than the 1 MiB .*worker\.pictureMemoryBytes/,
    );
    await expect(job.reserve(31)).rejects.toMatchObject({ name: 'MemoryError' });
    expect(job.heldBytes).toBe(30);
  });

  test('is not waited for any more by a job that was stopped', async () => {
    const budget = createBudget();
    const stop = new AbortController();
    await budget.open().reserve(60);
    const [stopped, other] = [budget.open(), budget.open()] as [MemoryAccount, MemoryAccount];
    const given = stopped.reserve(50, stop.signal);
    const waiting = other.reserve(45);
    stop.abort(new Error('interrupted'));
    await expect(given).rejects.toThrow('interrupted');
    expect(stopped.heldBytes).toBe(0);
    expect(await isGranted(waiting)).toBe(false);
    await expect(stopped.reserve(1, stop.signal)).rejects.toThrow('interrupted');
  });
});
