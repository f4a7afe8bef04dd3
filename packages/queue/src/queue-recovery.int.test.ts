import { describe, expect, test } from '@jest/globals';
import { promptId } from '@tiercel/contracts';
import { until } from '@tiercel/testkit';
import { log, newJob, useQueueParts, sweeperParts } from './queue.test-helpers.ts';
import { Sweeper, type SweeperOptions } from './sweeper.ts';

const parts = useQueueParts();

describe('a job is in exactly one place', () => {
  test('states and listings agree at every step', async () => {
    const where = async () => {
      const { running, pending } = await parts.reader.listQueueIds();
      return { running, pending, history: await parts.reader.listHistoryIds({}) };
    };
    await parts.producer.enqueue(newJob('x'));
    expect(await where()).toEqual({ running: [], pending: ['x'], history: [] });
    await parts.producer.release(promptId('x'));
    const job = await parts.take();
    expect(await where()).toEqual({ running: ['x'], pending: [], history: [] });
    await parts.consumer.handBack(job!);
    expect(await where()).toEqual({ running: [], pending: ['x'], history: [] });
    const again = await parts.take();
    await parts.finish(again);
    expect(await where()).toEqual({ running: [], pending: [], history: ['x'] });
  });

  test('nobody can take a job before it is released', async () => {
    await parts.producer.enqueue(newJob('x'));
    expect(await parts.take()).toBeUndefined();
    await parts.producer.release(promptId('x'));
    expect((await parts.take())?.id).toBe('x');
  });
});

describe('workers that die', () => {
  test('a redelivered permit gets the same job, one attempt later', async () => {
    await parts.add('x');
    await parts.add('y');
    const first = await parts.take('permit');
    const second = await parts.take('permit');
    expect([first?.id, first?.attempt, second?.id, second?.attempt]).toEqual(['x', 1, 'x', 2]);
  });

  test('a worker taken for dead cannot end the job that another has now', async () => {
    await parts.add('x');
    const zombie = await parts.take('permit');
    const heir = await parts.take('permit');
    expect(await parts.finish(zombie)).toBe(false);
    expect(await parts.reader.listHistoryIds({})).toEqual([]);
    expect(await parts.finish(heir)).toBe(true);
    expect(await parts.finish(zombie)).toBe(false);
    expect(await parts.reader.listHistoryIds({})).toEqual(['x']);
  });

  test('a hand-back is not counted as an attempt and keeps the place in the queue', async () => {
    await parts.add('x');
    await parts.add('y');
    const job = await parts.take();
    await parts.consumer.handBack(job!);
    const again = await parts.take();
    expect([again?.id, again?.attempt]).toEqual(['x', 1]);
  });

  test('a hand-back behind a front job of the same client blocks neither', async () => {
    await parts.add('long', { clientId: 'A' });
    const long = await parts.take();
    await parts.add('urgent', { clientId: 'A', front: true, number: -1 });
    await parts.consumer.handBack(long!);
    const urgent = await parts.take();
    expect(urgent?.id).toBe('urgent');
    await parts.finish(urgent);
    expect((await parts.take())?.id).toBe('long');
  });

  test('an interrupt that found the worker dead is carried to the next', async () => {
    await parts.add('x');
    await parts.take('permit');
    expect(await parts.editor.interrupt(['x'])).toBe(1);
    expect((await parts.take('permit'))?.cancelled).toBe(true);
  });
});

describe('the sweeper', () => {
  const createSweeper = (more: Partial<SweeperOptions> = {}) => {
    const { redis, names, permits } = parts;
    const options = {
      ...{ intervalMs: 1_000, releaseAfterMs: 60_000, lockMs: 60_000 },
      ...{ historyMaxItems: 50, historyMaxDays: 1 },
      ...more,
    };
    return new Sweeper({ redis, names, permits, parts: sweeperParts(parts), options, log });
  };
  const sweep = async (sweeper = createSweeper()) => {
    await parts.redis.del('qtest:sweeping');
    await sweeper.sweep();
  };
  /** Lets Redis' clock, by which all ages are told, go on. */
  const grow = async (): Promise<void> => {
    const now = async (): Promise<number> => {
      const [seconds, microseconds] = (await parts.redis.time()).map(Number);
      return seconds! * 1_000 + microseconds! / 1_000;
    };
    const before = await now();
    await until(async () => (await now()) > before + 2);
  };

  test('releases what an API process accepted and died before releasing', async () => {
    await parts.producer.enqueue(newJob('x'));
    await sweep();
    expect(await parts.take()).toBeUndefined();
    await grow();
    await sweep(createSweeper({ releaseAfterMs: 1 }));
    expect((await parts.take())?.id).toBe('x');
  });

  test('whoever asks another API then with the same Idempotency-Key gets the answer that was lost', async () => {
    const job = {
      tenant: { id: 'T', limits: { weight: 1 } },
      admission: { plan: 'p', maxPending: 1, jobsPerDay: 1, intervalMs: undefined },
      replayKey: 'key',
    };
    const accepted = await parts.producer.enqueue(newJob('x', job));
    // Dead, before its answer. The caller sends the same again, which another API gives another id.
    const again = { ...newJob('y', job), bodyHash: newJob('x').bodyHash };
    expect(await parts.producer.enqueue(again)).toEqual({ ...accepted, repeated: true });
    await grow();
    await sweep(createSweeper({ releaseAfterMs: 1 }));
    expect((await parts.take())?.promptId).toBe('x');
    expect(await parts.take()).toBeUndefined();
    const next = parts.producer.enqueue(
      newJob('z', { tenant: job.tenant, admission: job.admission }),
    );
    await expect(next).rejects.toMatchObject({ code: 'daily_jobs_used' });
  });

  test('adds the permit of a ready job that has none', async () => {
    await parts.add('x');
    await parts.permits.obliterate({ force: true });
    const sweeper = createSweeper();
    for (let i = 0; i < 2; i += 1) await sweep(sweeper);
    expect(await parts.permits.getWaitingCount()).toBe(1);
  });

  test('puts a running job whose permit is gone back into the queue', async () => {
    await parts.add('x');
    await parts.take('gone');
    await sweep();
    expect(await parts.take()).toBeUndefined();
    await grow();
    await sweep(createSweeper({ lockMs: 1 }));
    const again = await parts.take();
    expect([again?.id, again?.attempt]).toEqual(['x', 2]);
  });

  test('drops history that is too old', async () => {
    await parts.add('x');
    await parts.finish(await parts.take());
    await sweep();
    expect(await parts.reader.listHistoryIds({})).toEqual(['x']);
    await grow();
    await sweep(createSweeper({ historyMaxDays: 1 / 86_400_000 }));
    expect(await parts.reader.listHistoryIds({})).toEqual([]);
  });
});
