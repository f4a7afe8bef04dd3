import { describe, expect, test } from '@jest/globals';
import { stopLimitMs } from './stop-working.ts';
import { SHOWN, useJobs } from './worker.test-helpers.ts';

const jobs = useJobs();
const LONG_MS = 30_000;

describe('a worker that is to stop', () => {
  test('stops at once when it has nothing to do, and takes nothing that comes later', async () => {
    const worker = await jobs.startWorker();
    const stopped = worker.stop(LONG_MS);
    await stopped;
    await jobs.add('a');
    const next = await jobs.startWorker();
    (await next.attempt()).serve();
    await jobs.inState('a', 'success');
    expect(worker.attempts).toEqual([]);
  });

  test('lets what it runs come to its end, and leaves the rest to others', async () => {
    const worker = await jobs.startWorker();
    await jobs.add('a');
    await jobs.add('b');
    const { serve } = await worker.attempt();
    const stopped = worker.stop(LONG_MS);
    serve();
    await stopped;
    expect(await jobs.inState('a', 'success')).toMatchObject({ attempt: 1, outputs: SHOWN });
    await jobs.inState('b', 'pending');
    expect(worker.attempts).toHaveLength(1);
    const next = await jobs.startWorker();
    expect((await next.attempt()).request.promptId).toBe('b');
  });

  test('hands back what its grace is too short for, to its old place, and no attempt is counted', async () => {
    const worker = await jobs.startWorker();
    await jobs.add('a');
    const { context } = await worker.attempt();
    await jobs.add('b');
    await worker.stop(50);
    expect(context.signal.reason).toMatchObject({ reason: 'shutdown' });
    expect(await jobs.inState('a', 'pending')).toMatchObject({ attempt: 0 });
    const next = await jobs.startWorker({ attempts: 1 });
    const again = await next.attempt();
    expect(again.request.promptId).toBe('a');
    again.serve();
    expect(await jobs.inState('a', 'success')).toMatchObject({ attempt: 1 });
    (await next.attempt(1)).serve();
    await jobs.inState('b', 'success');
  });

  test('what a handed-back run told is not told again by the next one', async () => {
    const received = await jobs.listenTo('a');
    const worker = await jobs.startWorker();
    await jobs.add('a');
    const { context } = await worker.attempt();
    context.listener.nodeStarted('1');
    context.listener.progress('1', 12, 20);
    await worker.stop(0);
    const next = await jobs.startWorker();
    const again = await next.attempt();
    again.context.listener.nodeStarted('1');
    again.context.listener.progress('1', 3, 20);
    again.context.listener.progress('1', 15, 20);
    again.serve();
    await jobs.inState('a', 'success');
    const steps = received.filter(({ type }) => type === 'progress').map(({ data }) => data.value);
    expect(steps).toEqual([...steps].sort((a, b) => Number(a) - Number(b)));
    expect(steps).toContain(15);
    expect(steps).not.toContain(3);
  });

  test('comes to its end while Redis is away, and the job is run by another one', async () => {
    const worker = await jobs.startWorker();
    await jobs.add('a');
    await worker.attempt();
    await jobs.server.kill9();
    const graceMs = 100;
    const startedAt = performance.now();
    await worker.stop(graceMs);
    expect(performance.now() - startedAt).toBeLessThan(stopLimitMs(graceMs) + 1_000);
    await jobs.server.restart();
    const next = await jobs.startWorker();
    (await next.attempt()).serve();
    await jobs.inState('a', 'success');
  });
});
