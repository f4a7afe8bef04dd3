import { afterAll, beforeAll, beforeEach } from '@jest/globals';
import { RedisNames, workerId, type JobResult, type TerminalEvent } from '@tiercel/contracts';
import { connectRedis, createLogger, type Redis } from '@tiercel/runtime';
import { plainJob, startTestRedis, stopEverything, type TestRedis } from '@tiercel/testkit';
import type { Queue } from 'bullmq';
import { Consumer, createClaimId, type NextTaker } from './consumer.ts';
import { Editor } from './editor.ts';
import { Kinds } from './kinds.ts';
import type { TakenJob } from './taken-job.ts';
import { createPermitQueue } from './permits.ts';
import { Producer, type NewJob } from './producer.ts';
import { Reader } from './reader.ts';
import type { Sweeper } from './sweeper.ts';

/** All parts of the queue on one Redis, and the few steps that every test takes. */
export interface QueueParts {
  readonly redis: Redis;
  readonly names: RedisNames;
  readonly permits: Queue;
  readonly producer: Producer;
  readonly consumer: Consumer;
  readonly editor: Editor;
  readonly kinds: Kinds;
  readonly reader: Reader;
  /** Enqueues and releases a job. */
  add(id: string, fields?: Partial<NewJob>): Promise<void>;
  /** Takes the next job for `worker`, by default with a permit of its own. */
  take(permit?: string): Promise<TakenJob | undefined>;
  takeIds(count: number): Promise<(string | undefined)[]>;
  /** Ends a job with success. @returns whether it was still the taker's to end */
  finish(job: TakenJob | undefined): Promise<boolean>;
  close(): Promise<void>;
}

export const log = createLogger({ level: 'silent', name: 'test' });
const worker = workerId('w1');
/** Who goes on with the permit of a job that ends. */
export const another = (): NextTaker => ({ worker, claimId: createClaimId(), profile: '' });

/** What a sweeper works with; all workers are alike. */
export function sweeperParts({
  producer,
  consumer,
  editor,
  kinds,
}: QueueParts): ConstructorParameters<typeof Sweeper>[0]['parts'] {
  const fleet = {
    kinds,
    readFleet: () => Promise.resolve({ signature: '', profiles: [] }),
    describeNeeds: () => ({ classes: [], models: [] }),
  };
  return { producer, consumer, editor, fleet };
}

export function openQueueParts(redisUrl: string, prefix = 'qtest'): QueueParts {
  const names = new RedisNames(prefix);
  const redis = connectRedis(redisUrl, 'blocking', log);
  const permits = createPermitQueue(redis, names);
  const producer = new Producer(redis, names, permits, {
    ...{ maxPending: 5_000, maxPendingBytes: 100_000_000 },
    perClient: 'serial',
  });
  const consumer = new Consumer(redis, names, permits, {
    ...{ eventsPerJob: 100, eventBytesPerJob: 1_000_000 },
    ...{ eventsTtlSeconds: 60, maxEventBytes: 100_000 },
  });
  let permitCounter = 0;
  const take = async (permit = `p${(permitCounter += 1)}`): Promise<TakenJob | undefined> =>
    await consumer.take(permit, worker);
  return {
    ...{ redis, names, permits, producer, consumer },
    editor: new Editor(redis, names),
    kinds: new Kinds(redis, names, permits),
    reader: new Reader(redis, names),
    add: async (id, fields = {}) => {
      const job = newJob(id, fields);
      await producer.enqueue(job);
      await producer.release(job.id, job.tenant?.id);
    },
    take,
    takeIds: async (count) => {
      const ids: (string | undefined)[] = [];
      for (let i = 0; i < count; i += 1) ids.push((await take())?.promptId);
      return ids;
    },
    finish: async (job) => {
      if (job === undefined) throw new Error('no job was taken');
      return (await consumer.finish(job, result(job.id), Date.now(), undefined)).ours;
    },
    close: async () => {
      await permits.close();
      redis.disconnect();
    },
  };
}

/** For a test file: the parts of the queue on a Redis of its own, which is empty before each test. */
export function useQueueParts(): QueueParts & { readonly server: TestRedis } {
  // Filled before the first test; nothing reads it earlier.
  const parts = {} as QueueParts & { server: TestRedis };
  beforeAll(async () => {
    const server = await startTestRedis();
    Object.assign(parts, openQueueParts(server.url), { server });
  });
  beforeEach(() => parts.server.flush());
  afterAll(async () => {
    await parts.close();
    await stopEverything();
  });
  return parts;
}

export function newJob(id: string, fields: Partial<NewJob> = {}): NewJob {
  return { ...plainJob(id), ...fields };
}

export function result(
  id: string,
  outcome: JobResult['outcome'] = 'success',
  at = Date.now(),
): JobResult {
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
