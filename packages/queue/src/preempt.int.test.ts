import { beforeEach, describe, expect, test } from '@jest/globals';
import { DEFAULT_TENANT, jobIdOf, workerId } from '@tiercel/contracts';
import type { NewJob } from './producer.ts';
import { createClaimId } from './consumer.ts';
import { result, useQueueParts } from './queue.test-helpers.ts';
import type { TakenJob } from './taken-job.ts';
import type { TenantLimits } from './tenant-limits.ts';

/** Which running jobs make room for those of plans that preempt, and what becomes of them. */

const queue = useQueueParts();
/** What jobs with the signature `long` are known to run for. */
const LONG_MS = 60_000;

const of = (id: string, limits: Partial<TenantLimits> = {}): Partial<NewJob> => ({
  tenant: { id, limits: { weight: 1, ...limits } },
  cost: { signature: 'long', estimateMs: 100 },
});
const batch = of('batch', { isPreemptible: true });
const urgent = of('urgent', { preempts: true });

async function take(permit?: string): Promise<TakenJob> {
  const job = await queue.take(permit);
  if (job === undefined) throw new Error('nothing was taken');
  return job;
}

/** Ends a job as if it had run for so long. */
async function end(job: TakenJob, ranMs: number): Promise<void> {
  const now = Date.now();
  await queue.consumer.finish(job, result(job.id, 'success', now), now - ranMs, undefined);
}

async function run(id: string, fields: Partial<NewJob>): Promise<TakenJob> {
  await queue.add(id, fields);
  return await take();
}

/** Adds a job as if it had been accepted a second ago. */
async function addWaiting(id: string, fields: Partial<NewJob> = urgent): Promise<void> {
  await queue.add(id, fields);
  const key = queue.names.job(jobIdOf(fields.tenant?.id ?? DEFAULT_TENANT, id));
  await queue.redis.hincrby(key, 'created', -1_000);
}

/** As if it had been taken so long before. */
async function hasRun(job: TakenJob, ms: number): Promise<void> {
  await queue.redis.hincrby(queue.names.job(job.id), 'taken', -ms);
}

/** As the worker that runs it does when it is told. */
async function handBack(job: TakenJob): Promise<void> {
  expect(await queue.consumer.answerPreemption(job, 'goes-back')).toBe(true);
  await queue.consumer.handBack(job, { isPreempted: true });
}

const choose = async () => (await queue.consumer.choosePreempted()).map(({ claim }) => claim);

beforeEach(async () => {
  await end(await run('learned', of('x')), LONG_MS);
});

describe('a running job makes room', () => {
  test('goes back to its old place, and the one that it made room for is next, whosever turn it is', async () => {
    const job = await run('b1', batch);
    await queue.add('b2', batch);
    await hasRun(job, 10_000);
    await queue.add('newcomer', of('newcomer'));
    await addWaiting('u');
    expect(await choose()).toEqual([job.claimId]);
    // Whoever asks again hears of it too, as long as it runs; nobody else is chosen.
    expect(await choose()).toEqual([job.claimId]);
    await handBack(job);
    expect(await choose()).toEqual([]);
    expect(await queue.reader.of('batch').listQueueIds()).toEqual({
      ...{ running: [], pending: ['b1', 'b2'] },
    });
    expect((await take()).promptId).toBe('u');
    // Its own tenant has waited for a turn longer than the newcomer.
    const again = await take();
    expect(again).toMatchObject({ promptId: 'b1', attempt: 1, hasRunBefore: true });
    expect(await queue.takeIds(2)).toEqual(['newcomer', 'b2']);
  });

  test('is the youngest of those that may', async () => {
    const older = await run('older', batch);
    const younger = await run('younger', batch);
    const other = await run('other', of('other'));
    await hasRun(older, 3_000);
    await hasRun(younger, 2_000);
    await hasRun(other, 1_000);
    await addWaiting('u');
    expect(await choose()).toEqual([younger.claimId]);
  });

  test('is one at a time for each tenant that preempts', async () => {
    const jobs = [await run('b1', batch), await run('b2', batch), await run('b3', batch)];
    for (const id of ['u1', 'u2']) await addWaiting(id);
    await addWaiting('v1', of('vital', { preempts: true }));
    expect((await choose()).length).toBe(2);
    const [first] = await choose();
    expect((await choose()).length).toBe(2);
    const chosen = jobs.find(({ claimId }) => claimId === first);
    if (chosen === undefined) throw new Error('none was chosen');
    await handBack(chosen);
    const { tenant } = await take();
    expect(['urgent', 'vital']).toContain(tenant);
  });
});

describe('no running job makes room', () => {
  const cases: [why: string, prepare: (job: TakenJob) => Promise<void>][] = [
    [
      'when it is cheaper to wait for',
      async (job) => {
        await hasRun(job, 0.6 * LONG_MS);
      },
    ],
    [
      'when it has lost as much before',
      async (job) => {
        await queue.redis.hset(queue.names.job(job.id), 'lost_ms', LONG_MS);
      },
    ],
    [
      'while a hand is idle',
      async () => {
        await queue.permits.drain();
      },
    ],
    [
      'when an administrator has changed the plan',
      async () => {
        await queue.producer.putLimits('urgent', { weight: 1 });
      },
    ],
    [
      'when the one that waits is at its own limit',
      async () => {
        await queue.producer.putLimits('urgent', { weight: 1, preempts: true, maxRunning: 1 });
        await take();
      },
    ],
  ];
  test.each(cases)('%s', async (_why, prepare) => {
    const job = await run('b', batch);
    for (const id of ['u1', 'u2']) await addWaiting(id);
    await prepare(job);
    expect(await choose()).toEqual([]);
  });

  test('whose worker says that it goes on; another one does instead', async () => {
    const older = await run('older', batch);
    const job = await run('b', batch);
    await hasRun(older, 1_000);
    await addWaiting('u');
    expect(await choose()).toEqual([job.claimId]);
    expect(await queue.consumer.answerPreemption(job, 'goes-on')).toBe(true);
    expect(await choose()).toEqual([older.claimId]);
    await handBack(older);
    expect((await take()).promptId).toBe('u');
  });

  test('when another one ends soon', async () => {
    await hasRun(await run('b', batch), 10_000);
    await hasRun(await run('ending', of('other')), LONG_MS - 5_000);
    await addWaiting('u');
    expect(await choose()).toEqual([]);
  });

  test('whose plan does not say so, nor for a plan that does not', async () => {
    await run('other', of('other'));
    await run('default', {});
    await addWaiting('u');
    expect(await choose()).toEqual([]);
    await queue.editor.of('urgent').clearPending();
    await run('b', batch);
    await addWaiting('plain', of('plain'));
    expect(await choose()).toEqual([]);
  });

  test('for a job that an idle hand may be about to take', async () => {
    await run('b', batch);
    await queue.add('u', urgent);
    expect(await choose()).toEqual([]);
  });
});

describe('when its worker dies before it hands it back', () => {
  test('the job runs again at once, from the start, and may be chosen anew', async () => {
    await queue.add('b', batch);
    const job = await take('p');
    await queue.consumer.saveResumeToken(job, 'where it runs');
    await addWaiting('u');
    expect(await choose()).toEqual([job.claimId]);
    await queue.consumer.answerPreemption(job, 'goes-back');
    const again = await queue.consumer.take('p', workerId('w2'));
    expect(again).toMatchObject({ promptId: 'b', attempt: 2, resumeToken: undefined });
    expect(await choose()).toEqual([again?.claimId]);
  });

  test('or before it was told: the next one goes on with what was begun', async () => {
    await queue.add('b', batch);
    const job = await take('p');
    await queue.consumer.saveResumeToken(job, 'where it runs');
    await addWaiting('u');
    await choose();
    const again = await queue.consumer.take('p', workerId('w2'));
    expect(again).toMatchObject({ promptId: 'b', resumeToken: 'where it runs' });
    expect(await queue.consumer.answerPreemption(job, 'goes-back')).toBe(false);
  });

  test('or shuts down with it: nobody has made room, and what was begun is gone on with', async () => {
    const job = await run('b', batch);
    await queue.consumer.saveResumeToken(job, 'where it runs');
    await queue.add('newcomer', of('newcomer'));
    await addWaiting('u');
    await choose();
    await queue.consumer.handBack(job);
    expect(await queue.takeIds(2)).toEqual(['newcomer', 'u']);
    expect((await take()).resumeToken).toBe('where it runs');
  });

  test('a job that ends all the same leaves nothing behind', async () => {
    const job = await run('b', batch);
    await addWaiting('u');
    await choose();
    await end(job, 1_000);
    expect(await choose()).toEqual([]);
    await queue.add('newcomer', of('newcomer'));
    // Nobody made room: turns are as ever.
    expect(await queue.takeIds(2)).toEqual(['u', 'newcomer']);
  });
});

describe('where workers differ', () => {
  /** Jobs that workers of profile `two` alone can run. */
  const forTwo: Partial<NewJob> = {
    verdict: { kind: ';two=0;', needs: '', fleet: '' },
  };
  const takeAs = async (profile: string): Promise<TakenJob> => {
    const worker = workerId(`worker-${profile}`);
    const job = await queue.consumer.take(`p-${Math.random()}`, worker, createClaimId(), profile);
    if (job === undefined) throw new Error('nothing was taken');
    return job;
  };
  const startWorker = (profile: string, isDrained = false) =>
    queue.redis.hset(
      `${queue.names.prefix}:fleet`,
      `worker-${profile}`,
      `${Date.now()} 1 ${isDrained ? 1 : 0} ${profile} x`,
    );
  const hasWaited = async (promptId: string) => {
    expect(await choose()).toEqual([]);
    const key = queue.names.job(jobIdOf('urgent', promptId));
    await queue.redis.hincrby(key, 'called', -1_000);
  };
  const runOn = async (profile: string, id: string, ranMs: number): Promise<TakenJob> => {
    await queue.add(id, batch);
    const job = await takeAs(profile);
    await hasRun(job, ranMs);
    return job;
  };

  test('only a worker that can run the job makes room for it, whoever takes first', async () => {
    await startWorker('one');
    await startWorker('two');
    const ofTwo = await runOn('two', 'b1', 3_000);
    await runOn('one', 'b2', 1_000);
    for (const comer of ['newcomer', 'later']) await queue.add(comer, of(comer));
    await queue.add('u', { ...urgent, ...forTwo });
    await hasWaited('u');
    expect(await choose()).toEqual([ofTwo.claimId]);
    await handBack(ofTwo);
    // One that cannot run it takes what is next, and does not use up the turn of the other one.
    const others = [(await takeAs('one')).promptId, (await takeAs('two')).promptId];
    expect(others).toEqual(['newcomer', 'u']);
  });

  test('a worker whose end is near counts only for what it can run', async () => {
    await startWorker('one');
    await startWorker('two');
    const ofTwo = await runOn('two', 'b1', 10_000);
    const other = await runOn('one', 'b2', LONG_MS - 1_000);
    await queue.add('u', { ...urgent, ...forTwo });
    await hasWaited('u');
    expect(await choose()).toEqual([ofTwo.claimId]);
    expect(other.promptId).toBe('b2');
  });

  test('a drained worker makes no room', async () => {
    await startWorker('two', true);
    await runOn('two', 'b1', 1_000);
    await queue.add('u', { ...urgent, ...forTwo });
    await hasWaited('u');
    expect(await choose()).toEqual([]);
  });
});

test('a tenant that has nothing to start any more is passed over by the hand that made room', async () => {
  const job = await run('b', batch);
  await addWaiting('u');
  await choose();
  await queue.editor.of('urgent').clearPending();
  await handBack(job);
  expect(await queue.takeIds(2)).toEqual(['b', undefined]);
});

test('without plans that preempt nothing of it is in Redis', async () => {
  await run('b', batch);
  await addWaiting('plain', of('plain'));
  expect(await choose()).toEqual([]);
  expect(await queue.redis.exists(`${queue.names.prefix}:preempting`)).toBe(0);
});
