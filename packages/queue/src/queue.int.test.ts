import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import {
  parseEventMessage,
  promptId,
  RedisNames,
  workerId,
  type JobResult,
  type TerminalEvent,
} from '@tiercel/contracts';
import { connectRedis, createLogger, systemClock, type Redis } from '@tiercel/runtime';
import { startTestRedis, stopEverything, type TestRedis } from '@tiercel/testkit';
import { Consumer, type TakenJob } from './consumer.ts';
import { Editor } from './editor.ts';
import { createPermitQueue } from './permits.ts';
import { Producer, type NewJob } from './producer.ts';
import { Reader } from './reader.ts';
import { Sweeper } from './sweeper.ts';

const log = createLogger({ level: 'silent', name: 'test' });
const names = new RedisNames('qtest');
const worker = workerId('w1');
let server: TestRedis;
let redis: Redis;
let permits: ReturnType<typeof createPermitQueue>;
let producer: Producer;
let consumer: Consumer;
let editor: Editor;
let reader: Reader;
let permitCounter = 0;

beforeAll(async () => {
  server = await startTestRedis();
  redis = connectRedis(server.url, 'blocking', log);
  permits = createPermitQueue(redis, names);
  producer = new Producer(redis, names, permits, { maxPending: 5_000, perClient: 'serial' });
  consumer = new Consumer(redis, names, permits, {
    eventsPerJob: 100,
    eventsTtlSeconds: 60,
  });
  editor = new Editor(redis, names);
  reader = new Reader(redis, names);
});

beforeEach(async () => {
  await server.flush();
});

afterAll(async () => {
  await permits.close();
  redis.disconnect();
  await stopEverything();
});

function newJob(id: string, fields: Partial<NewJob> = {}): NewJob {
  return {
    id: promptId(id),
    bodyHash: `hash-${id}`,
    number: undefined,
    front: false,
    clientId: undefined,
    promptText: '{"1":{"class_type":"A","inputs":{"seed":18446744073709551615}}}',
    extraText: '{}',
    outputIds: ['1'],
    nodeErrorsText: '{}',
    workflowId: undefined,
    secrets: undefined,
    ...fields,
  };
}

async function add(id: string, fields: Partial<NewJob> = {}): Promise<void> {
  const job = newJob(id, fields);
  await producer.enqueue(job);
  await producer.release(job.id);
}

async function take(permit = `p${(permitCounter += 1)}`): Promise<TakenJob | undefined> {
  return await consumer.take(permit, worker);
}

async function takeIds(count: number): Promise<(string | undefined)[]> {
  const ids: (string | undefined)[] = [];
  for (let i = 0; i < count; i += 1) ids.push((await take())?.id);
  return ids;
}

function result(id: string, outcome: JobResult['outcome'] = 'success', at = Date.now()): JobResult {
  const data = { prompt_id: id, timestamp: at };
  const type = outcome === 'interrupted' ? 'execution_interrupted' : 'execution_success';
  const terminal = { type, data } as TerminalEvent;
  return {
    outcome,
    outputs: { '1': { images: [{ filename: 'x.png', subfolder: '', type: 'output' }] } },
    meta: {},
    messages: [[type, data]],
    terminal,
    report: { served_by: null, attempts: [], degraded: false, dropped_params: [] },
  };
}

async function finish(job: TakenJob | undefined): Promise<boolean> {
  return (await consumer.finish(job!, result(job!.id), Date.now(), undefined)).ours;
}

describe('order', () => {
  test('jobs run by number, equal numbers by arrival, front before all counted ones', async () => {
    await add('first');
    await add('second');
    await add('late-but-low', { number: -100 });
    await add('tie-a', { number: 7 });
    await add('tie-b', { number: 7 });
    await add('front', { front: true });
    expect(await takeIds(6)).toEqual([
      'late-but-low',
      'front',
      'first',
      'second',
      'tie-a',
      'tie-b',
    ]);
    expect(await take()).toBeUndefined();
  });

  test('numbers count from 0 and are used up by rejected prompts too', async () => {
    const first = await producer.enqueue(newJob('a'));
    await producer.skipNumber();
    const second = await producer.enqueue(newJob('b'));
    const fronted = await producer.enqueue(newJob('c', { front: true }));
    expect([first.number, second.number, fronted.number]).toEqual([0, 2, -3]);
  });

  test('one client has one running job; its next becomes takeable when that ends', async () => {
    await add('a1', { clientId: 'A' });
    await add('a2', { clientId: 'A' });
    await add('b1', { clientId: 'B' });
    const a1 = await take();
    expect(a1?.id).toBe('a1');
    expect(await takeIds(2)).toEqual(['b1', undefined]);
    await finish(a1);
    expect((await take())?.id).toBe('a2');
  });

  test('a front job overtakes the waiting head of its own client', async () => {
    await add('a1', { clientId: 'A' });
    await add('a2', { clientId: 'A' });
    await add('urgent', { clientId: 'A', number: -5 });
    const urgent = await take();
    expect(urgent?.id).toBe('urgent');
    await finish(urgent);
    expect((await take())?.id).toBe('a1');
  });

  test('a permit is added for what is ready, not for what waits behind its own client', async () => {
    for (const n of [1, 2, 3]) await add(`a${n}`, { clientId: 'A' });
    await add('b');
    expect(await permits.getWaitingCount()).toBe(2);
    const a1 = await take();
    const reply = await consumer.finish(a1!, result('a1'), Date.now(), undefined);
    expect(reply).toEqual({ ours: true, unlocked: true, next: undefined });
    await editor.deletePending(['a2']);
    expect(await takeIds(3)).toEqual(['a3', 'b', undefined]);
  });

  test('a backlog does not need a permit for each of its jobs', async () => {
    await Promise.all(Array.from({ length: 600 }, (_, n) => add(`j${n}`)));
    expect(await permits.getWaitingCount()).toBeLessThan(400);
    const taken: unknown[] = [];
    let job = await take('one');
    while (job !== undefined) {
      taken.push(job.id);
      ({ next: job } = await consumer.finish(job, result(job.id), Date.now(), worker));
    }
    expect(taken).toHaveLength(600);
  });

  test('a permit that was redelivered gives its former holder no further job', async () => {
    await add('x');
    await add('y');
    const x = await take('permit');
    const late = await take('permit');
    expect([x?.id, late?.id]).toEqual(['x', 'x']);
    const reply = await consumer.finish(x!, result('x'), Date.now(), worker);
    expect(reply).toEqual({ ours: false, unlocked: false, next: undefined });
    expect((await consumer.finish(late!, result('x'), Date.now(), worker)).next?.id).toBe('y');
  });
});

describe('one prompt id', () => {
  test('the same body again is answered as the first time and adds nothing', async () => {
    const first = await producer.enqueue(newJob('x'));
    const again = await producer.enqueue(newJob('x'));
    expect(again).toEqual({ ...first, repeated: true });
    expect(await reader.countRemaining()).toBe(1);
    expect(await producer.findAccepted(promptId('x'), 'hash-x')).toMatchObject({ repeated: true });
  });

  test('another body is refused, also after the job has ended', async () => {
    await add('x');
    await finish(await take());
    await expect(producer.enqueue(newJob('x', { bodyHash: 'other' }))).rejects.toMatchObject({
      code: 'prompt_id_conflict',
    });
  });

  test.each(['with:colon', '123', 'a b/c\n"quoted"', '🦊', '__proto__'])(
    '%j is kept as it is through the whole life',
    async (id) => {
      await add(id, { clientId: id });
      const job = await take();
      expect(job?.id).toBe(id);
      await finish(job);
      expect(await reader.listHistoryIds({})).toEqual([id]);
    },
  );
});

describe('limits', () => {
  test('one job more than maxPending is refused, and nothing of it stays', async () => {
    const small = new Producer(redis, names, permits, { maxPending: 2, perClient: 'serial' });
    await small.enqueue(newJob('a'));
    await small.enqueue(newJob('b'));
    await expect(small.enqueue(newJob('c'))).rejects.toMatchObject({
      code: 'queue_full',
      retryAfterSeconds: expect.any(Number),
    });
    expect(await reader.readRecord('c')).toBeUndefined();
  });

  test('history keeps its limit and forgets the oldest with all their keys', async () => {
    for (let i = 0; i < 60; i += 1) {
      await add(`j${i}`, { workflowId: 'w' });
      await finish(await take());
    }
    await editor.trimHistory(50);
    const ids = await reader.listHistoryIds({});
    expect(ids).toHaveLength(50);
    expect(ids[0]).toBe('j10');
    expect(await redis.keys('qtest:*:j3')).toEqual([]);
    expect(await reader.listWorkflowIds('w')).toHaveLength(50);
  });
});

describe('a job is in exactly one place', () => {
  test('states and listings agree at every step', async () => {
    const where = async () => {
      const { running, pending } = await reader.listQueueIds();
      return { running, pending, history: await reader.listHistoryIds({}) };
    };
    await producer.enqueue(newJob('x'));
    expect(await where()).toEqual({ running: [], pending: ['x'], history: [] });
    await producer.release(promptId('x'));
    const job = await take();
    expect(await where()).toEqual({ running: ['x'], pending: [], history: [] });
    await consumer.handBack(job!);
    expect(await where()).toEqual({ running: [], pending: ['x'], history: [] });
    const again = await take();
    await finish(again);
    expect(await where()).toEqual({ running: [], pending: [], history: ['x'] });
  });

  test('nobody can take a job before it is released', async () => {
    await producer.enqueue(newJob('x'));
    expect(await take()).toBeUndefined();
    await producer.release(promptId('x'));
    expect((await take())?.id).toBe('x');
  });
});

describe('workers that die', () => {
  test('a redelivered permit gets the same job, one attempt later', async () => {
    await add('x');
    await add('y');
    const first = await take('permit');
    const second = await take('permit');
    expect([first?.id, first?.attempt, second?.id, second?.attempt]).toEqual(['x', 1, 'x', 2]);
  });

  test('a worker taken for dead cannot end the job that another has now', async () => {
    await add('x');
    const zombie = await take('permit');
    const heir = await take('permit');
    expect(await finish(zombie)).toBe(false);
    expect(await reader.listHistoryIds({})).toEqual([]);
    expect(await finish(heir)).toBe(true);
    expect(await finish(heir)).toBe(false);
    expect(await reader.listHistoryIds({})).toEqual(['x']);
  });

  test('a hand-back is not counted as an attempt and keeps the place in the queue', async () => {
    await add('x');
    await add('y');
    const job = await take();
    await consumer.handBack(job!);
    const again = await take();
    expect([again?.id, again?.attempt]).toEqual(['x', 1]);
  });

  test('a hand-back behind a front job of the same client blocks neither', async () => {
    await add('long', { clientId: 'A' });
    const long = await take();
    await add('urgent', { clientId: 'A', front: true, number: -1 });
    await consumer.handBack(long!);
    const urgent = await take();
    expect(urgent?.id).toBe('urgent');
    await finish(urgent);
    expect((await take())?.id).toBe('long');
  });

  test('an interrupt that found the worker dead is carried to the next', async () => {
    await add('x');
    await take('permit');
    expect(await editor.interrupt(['x'])).toBe(1);
    expect((await take('permit'))?.cancelled).toBe(true);
  });
});

describe('the sweeper', () => {
  const sweep = async (now = Date.now()) => {
    await redis.del('qtest:sweeping');
    await new Sweeper({
      redis,
      names,
      permits,
      parts: { producer, consumer, editor },
      options: {
        intervalMs: 1_000,
        releaseAfterMs: 1_000,
        lockMs: 1_000,
        historyMaxItems: 50,
        historyMaxDays: 1,
      },
      clock: { now: () => now },
      log,
    }).sweep();
  };

  test('releases what an API process accepted and died before releasing', async () => {
    await producer.enqueue(newJob('x'));
    await sweep();
    expect(await take()).toBeUndefined();
    await sweep(Date.now() + 5_000);
    expect((await take())?.id).toBe('x');
  });

  test('adds the permit of a ready job that has none', async () => {
    await add('x');
    await permits.obliterate({ force: true });
    const sweeper = new Sweeper({
      redis,
      names,
      permits,
      parts: { producer, consumer, editor },
      options: {
        intervalMs: 1_000,
        releaseAfterMs: 1_000,
        lockMs: 1_000,
        historyMaxItems: 50,
        historyMaxDays: 1,
      },
      clock: systemClock,
      log,
    });
    for (let i = 0; i < 2; i += 1) {
      await redis.del('qtest:sweeping');
      await sweeper.sweep();
    }
    expect(await permits.getWaitingCount()).toBe(1);
  });

  test('puts a running job whose permit is gone back into the queue', async () => {
    await add('x');
    await take('gone');
    await sweep(Date.now() + 10_000);
    const again = await take();
    expect([again?.id, again?.attempt]).toEqual(['x', 2]);
  });

  test('drops history that is too old', async () => {
    await add('x');
    await finish(await take());
    await sweep(Date.now() + 2 * 86_400_000);
    expect(await reader.listHistoryIds({})).toEqual([]);
  });
});

describe('edits', () => {
  test('delete removes what waits without a trace, and leaves the rest alone', async () => {
    await add('a');
    await add('b');
    const running = await take();
    expect(await editor.deletePending(['a', 'b', 'unknown'])).toBe(1);
    expect(running?.id).toBe('a');
    expect(await reader.readRecord('b')).toBeUndefined();
    expect(await redis.keys('qtest:*:b')).toEqual([]);
  });

  test('clear removes everything that waits, in any number', async () => {
    for (let i = 0; i < 1_200; i += 1) await producer.enqueue(newJob(`j${i}`));
    await editor.clearPending();
    expect(await reader.countRemaining()).toBe(0);
  });

  test('cancel removes a pending job, stops a running one, and knows neither of an ended one', async () => {
    await add('ended');
    await finish(await take());
    await add('runs');
    await take();
    await add('waits');
    expect(await editor.cancel(['ended'])).toBe(0);
    expect(await editor.cancel(['waits', 'runs', 'unknown'])).toBe(2);
    expect(await consumer.isCancelled(promptId('runs'))).toBe(true);
  });

  test('history can be deleted by id and cleared', async () => {
    for (const id of ['a', 'b', 'c']) {
      await add(id);
      await finish(await take());
    }
    await editor.deleteHistory(['b', 'zzz']);
    expect(await reader.listHistoryIds({})).toEqual(['a', 'c']);
    await editor.clearHistory();
    expect(await reader.listHistoryIds({})).toEqual([]);
    expect(await redis.keys('qtest:job:*')).toEqual([]);
  });
});

describe('pages', () => {
  test('history pages as ComfyUI pages it', async () => {
    for (let i = 0; i < 5; i += 1) {
      await add(`h${i}`);
      await finish(await take());
    }
    const page = (maxItems?: number, offset?: number) =>
      reader.listHistoryIds({
        ...(maxItems === undefined ? {} : { maxItems }),
        ...(offset === undefined ? {} : { offset }),
      });
    expect(await page(2)).toEqual(['h3', 'h4']);
    expect(await page(2, 1)).toEqual(['h1', 'h2']);
    expect(await page(undefined, 3)).toEqual(['h3', 'h4']);
    expect(await page(undefined, 99)).toEqual([]);
    expect(await page(0)).toEqual([]);
    expect(await page(-1)).toEqual([]);
    expect(await page(undefined, -1)).toHaveLength(5);
  });

  test.each([true, false])(
    'job pages put together are the whole list (descending: %s)',
    async (descending) => {
      for (let i = 0; i < 40; i += 1) await add(`j${i}`, { number: i % 7 });
      for (let i = 0; i < 25; i += 1) {
        const job = await take();
        const outcome = (['success', 'error', 'interrupted'] as const)[i % 3]!;
        const ended = result(job!.id, outcome === 'error' ? 'success' : outcome);
        if (i < 20)
          await consumer.finish(job!, { ...ended, outcome }, Date.now() - (i % 4) * 10, undefined);
      }
      for (const sortBy of ['created', 'duration'] as const) {
        const query = {
          states: ['pending', 'running', 'success', 'error', 'interrupted'] as const,
          sortBy,
          descending,
        };
        const all = await reader.listJobIds({ ...query, offset: 0, limit: 1_000 });
        expect(all.total).toBe(40);
        expect(new Set(all.ids).size).toBe(40);
        const paged: string[] = [];
        for (let offset = 0; offset < 45; offset += 3) {
          paged.push(...(await reader.listJobIds({ ...query, offset, limit: 3 })).ids);
        }
        expect(paged).toEqual(all.ids);
      }
    },
  );
});

describe('announcing the end', () => {
  test('history is written before anybody hears of the end, and the count goes with it', async () => {
    const ear = connectRedis(server.url, 'subscriber', log);
    const heard: string[] = [];
    const inHistory: string[][] = [];
    ear.on('message', (_channel: string, text: string) => {
      heard.push(text);
      void reader.listHistoryIds({}).then((ids) => inHistory.push(ids));
    });
    await ear.subscribe(names.clientChannel('A'));
    await add('x', { clientId: 'A' });
    await finish(await take());
    await new Promise((done) => setTimeout(done, 50));
    ear.disconnect();
    const message = parseEventMessage(heard[0]!);
    expect(message).toMatchObject({ promptId: 'x', terminal: true });
    expect(message.lines.map((line) => (JSON.parse(line.frame) as { type: string }).type)).toEqual([
      'execution_success',
      'status',
      'executing',
    ]);
    expect(inHistory[0]).toEqual(['x']);
  });
});
