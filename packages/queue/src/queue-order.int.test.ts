import { beforeEach, describe, expect, test } from '@jest/globals';
import { promptId } from '@tiercel/contracts';
import { Producer } from './producer.ts';
import { another, newJob, result, useQueueParts } from './queue.test-helpers.ts';

const parts = useQueueParts();

describe('order', () => {
  test('jobs run by number, equal numbers by arrival, front before all counted ones', async () => {
    await parts.add('first');
    await parts.add('second');
    await parts.add('late-but-low', { number: -100 });
    await parts.add('tie-a', { number: 7 });
    await parts.add('tie-b', { number: 7 });
    await parts.add('front', { front: true });
    expect(await parts.takeIds(6)).toEqual([
      'late-but-low',
      'front',
      'first',
      'second',
      'tie-a',
      'tie-b',
    ]);
    expect(await parts.take()).toBeUndefined();
  });

  test('numbers count from 0 and are used up by rejected prompts too', async () => {
    const first = await parts.producer.enqueue(newJob('a'));
    await parts.producer.skipNumber();
    const second = await parts.producer.enqueue(newJob('b'));
    const fronted = await parts.producer.enqueue(newJob('c', { front: true }));
    expect([first.number, second.number, fronted.number]).toEqual([0, 2, -3]);
  });

  test('one client has one running job; its next becomes takeable when that ends', async () => {
    await parts.add('a1', { clientId: 'A' });
    await parts.add('a2', { clientId: 'A' });
    await parts.add('b1', { clientId: 'B' });
    const a1 = await parts.take();
    expect(a1?.id).toBe('a1');
    expect(await parts.takeIds(2)).toEqual(['b1', undefined]);
    await parts.finish(a1);
    expect((await parts.take())?.id).toBe('a2');
  });

  test('a front job overtakes the waiting head of its own client', async () => {
    await parts.add('a1', { clientId: 'A' });
    await parts.add('a2', { clientId: 'A' });
    await parts.add('urgent', { clientId: 'A', number: -5 });
    const urgent = await parts.take();
    expect(urgent?.id).toBe('urgent');
    await parts.finish(urgent);
    expect((await parts.take())?.id).toBe('a1');
  });

  test('a permit is added for what is ready, not for what waits behind its own client', async () => {
    for (const n of [1, 2, 3]) await parts.add(`a${n}`, { clientId: 'A' });
    await parts.add('b');
    expect(await parts.permits.getWaitingCount()).toBe(2);
    const a1 = await parts.take();
    const reply = await parts.consumer.finish(a1!, result('a1'), Date.now(), undefined);
    expect(reply).toEqual({ ours: true, unlocked: true, next: undefined });
    await parts.editor.deletePending(['a2']);
    expect(await parts.takeIds(3)).toEqual(['a3', 'b', undefined]);
  });

  test('a backlog does not need a permit for each of its jobs', async () => {
    await Promise.all(Array.from({ length: 600 }, (_, n) => parts.add(`j${n}`)));
    expect(await parts.permits.getWaitingCount()).toBeLessThan(400);
    const taken: unknown[] = [];
    let job = await parts.take('one');
    while (job !== undefined) {
      taken.push(job.id);
      ({ next: job } = await parts.consumer.finish(job, result(job.id), Date.now(), another()));
    }
    expect(taken).toHaveLength(600);
  });

  test('a permit that was redelivered gives its former holder no further job', async () => {
    await parts.add('x');
    await parts.add('y');
    const x = await parts.take('permit');
    const late = await parts.take('permit');
    expect([x?.id, late?.id]).toEqual(['x', 'x']);
    const reply = await parts.consumer.finish(x!, result('x'), Date.now(), another());
    expect(reply).toEqual({ ours: false, unlocked: false, next: undefined });
    expect((await parts.consumer.finish(late!, result('x'), Date.now(), another())).next?.id).toBe(
      'y',
    );
  });
});

describe('one prompt id', () => {
  test('the same body again is answered as the first time and adds nothing', async () => {
    const first = await parts.producer.enqueue(newJob('x'));
    const again = await parts.producer.enqueue(newJob('x'));
    expect(again).toEqual({ ...first, repeated: true });
    expect(await parts.reader.countRemaining()).toBe(1);
    expect(await parts.producer.findAccepted(promptId('x'), 'hash-x')).toMatchObject({
      repeated: true,
    });
  });

  test('another body is refused, also after the job has ended', async () => {
    await parts.add('x');
    await parts.finish(await parts.take());
    await expect(parts.producer.enqueue(newJob('x', { bodyHash: 'other' }))).rejects.toMatchObject({
      code: 'prompt_id_conflict',
    });
  });

  test.each(['with:colon', '123', 'a b/c\n"quoted"', '🦊', '__proto__'])(
    '%j is kept as it is through the whole life',
    async (id) => {
      await parts.add(id, { clientId: id });
      const job = await parts.take();
      expect(job?.id).toBe(id);
      await parts.finish(job);
      expect(await parts.reader.listHistoryIds({})).toEqual([id]);
    },
  );
});

describe('limits', () => {
  test('one job more than maxPending is refused, and nothing of it stays', async () => {
    const small = new Producer(parts.redis, parts.names, parts.permits, {
      ...{ maxPending: 2, maxPendingBytes: 1_000_000, perClient: 'serial' },
    });
    await small.enqueue(newJob('a'));
    await small.enqueue(newJob('b'));
    await expect(small.enqueue(newJob('c'))).rejects.toMatchObject({
      code: 'queue_full',
      retryAfterSeconds: expect.any(Number),
    });
    expect(await parts.reader.readRecord('c')).toBeUndefined();
  });

  describe('in bytes of all pending jobs', () => {
    const heavy = (id: string, kilobytes = 30) =>
      newJob(id, { extraText: JSON.stringify({ pad: 'x'.repeat(kilobytes * 1_000) }) });
    let small: Producer;
    const offer = (id: string, kilobytes?: number) =>
      small.enqueue(heavy(id, kilobytes)).then(
        () => 'taken',
        (error: unknown) => (error as { code: string }).code,
      );
    const readHeld = async () => Number((await parts.redis.get(parts.names.pendingBytes)) ?? 0);

    beforeEach(() => {
      small = new Producer(parts.redis, parts.names, parts.permits, {
        ...{ maxPending: 100, maxPendingBytes: 100_000, perClient: 'serial' },
      });
    });

    test('a job that finds no room is refused, a smaller one is not, and nothing of it stays', async () => {
      for (const id of ['a', 'b', 'c']) expect(await offer(id)).toBe('taken');
      expect(await offer('d')).toBe('queue_full');
      expect(await parts.reader.readRecord('d')).toBeUndefined();
      expect(await offer('e', 1)).toBe('taken');
      // Sent again it is the same job and needs no room.
      expect(await offer('a')).toBe('taken');
    });

    test('one that is larger than the limit is taken when nothing else waits', async () => {
      expect(await offer('huge', 500)).toBe('taken');
      expect(await offer('a', 1)).toBe('queue_full');
    });

    test.each<[string, () => Promise<unknown>]>([
      ['deleted', () => parts.editor.deletePending(['a'])],
      ['cancelled', () => parts.editor.cancel(['a'])],
      ['taken', () => parts.take()],
    ])('a job that is %s makes room for another', async (_how, leave) => {
      for (const id of ['a', 'b', 'c']) await offer(id);
      for (const id of ['a', 'b', 'c']) await small.release(promptId(id));
      expect(await offer('d')).toBe('queue_full');
      await leave();
      expect(await offer('d')).toBe('taken');
      expect(await offer('e')).toBe('queue_full');
    });

    test('a job that is handed back needs its room again, and gets it', async () => {
      for (const id of ['a', 'b', 'c']) await offer(id);
      await small.release(promptId('a'));
      const job = (await parts.take())!;
      expect(await offer('d')).toBe('taken');
      await parts.consumer.handBack(job);
      await parts.consumer.handBack(job);
      expect(await offer('e', 1)).toBe('queue_full');
      expect((await parts.reader.listQueueIds()).pending).toHaveLength(4);
    });

    test('with the queue empty nothing is held, whatever became of the jobs', async () => {
      for (const id of ['a', 'b', 'c']) await offer(id);
      await small.release(promptId('a'));
      await parts.finish(await parts.take());
      expect(await readHeld()).toBeGreaterThan(50_000);
      await parts.editor.clearPending();
      expect(await readHeld()).toBe(0);
    });
  });

  test('history keeps its limit and forgets the oldest with all their keys', async () => {
    for (let i = 0; i < 60; i += 1) {
      await parts.add(`j${i}`, { workflowId: 'w' });
      await parts.finish(await parts.take());
    }
    await parts.editor.trimHistory(50);
    const ids = await parts.reader.listHistoryIds({});
    expect(ids).toHaveLength(50);
    expect(ids[0]).toBe('j10');
    expect(await parts.redis.keys('qtest:*:j3')).toEqual([]);
    expect(await parts.reader.listWorkflowIds('w')).toHaveLength(50);
  });
});
