import { randomUUID } from 'node:crypto';
import { RedisNames, workerId } from '@tiercel/contracts';
import { Consumer, createPermitQueue, Producer, Reader } from '@tiercel/queue';
import { connectRedis, createLogger, type Redis } from '@tiercel/runtime';
import { startTestRedis } from '@tiercel/testkit';
import { Queue, Worker } from 'bullmq';
import type { Benchmark, BenchmarkContext } from './benchmark.ts';
import { measureShares, measureSharesOfFifo } from './fairness-shares.ts';
import type { Figure } from './figures.ts';
import { pendingJob } from './pending-job.ts';
import { quantile } from './statistics.ts';

const SIZES = [
  { jobs: 10_000, tenants: 1_000 },
  { jobs: 100_000, tenants: 10_000 },
];
/** Pending jobs of the queue that the large ones are compared with. */
const FEW = 100;
/** Times that each step is measured. */
const SAMPLES = 2_000;
const AT_ONCE = 64;
const PAGE = 20;

/** Who is next among thousands of tenants: what it costs in Redis, beside BullMQ's queue, and how fair it is. */
export const benchFairness: Benchmark = async (context) => {
  const few = await measureQueue(context, { jobs: FEW, tenants: 10 });
  const figures: Figure[] = [];
  for (const size of SIZES) {
    const found = await measureQueue(context, size);
    const reference = await measureBullmq(context, size.jobs);
    const name = `fairness: ${size.jobs} jobs of ${size.tenants} tenants`;
    const small = `${FEW} jobs`;
    figures.push(
      {
        ...{ name: `${name}, pick p50`, unit: 'µs in Redis', tiercel: quantile(found.pickUs, 0.5) },
        reference: { name: 'BullMQ', value: quantile(reference.pickUs, 0.5) },
      },
      {
        ...{
          name: `${name}, pick p99`,
          unit: 'µs in Redis',
          tiercel: quantile(found.pickUs, 0.99),
        },
        reference: { name: 'BullMQ', value: quantile(reference.pickUs, 0.99) },
        aim: { value: { atMost: 1_000 } },
      },
      {
        ...{ name: `${name}, add p50`, unit: 'µs in Redis', tiercel: quantile(found.addUs, 0.5) },
        reference: { name: small, value: quantile(few.addUs, 0.5) },
        aim: { ratio: { atMost: 1.5 } },
      },
      {
        ...{ name: `${name}, page p50`, unit: 'ms', tiercel: quantile(found.pageMs, 0.5) },
        reference: { name: small, value: quantile(few.pageMs, 0.5) },
        aim: { ratio: { atMost: 1.5 } },
      },
      {
        ...{ name: `${name}, memory per job`, unit: 'bytes', tiercel: found.bytesPerJob },
        reference: { name: 'BullMQ', value: reference.bytesPerJob },
      },
    );
  }
  const [fair, fifo] = [await measureShares(), await measureSharesOfFifo()];
  figures.push({
    ...{ name: 'fairness: error of a share', unit: '%', tiercel: fair },
    reference: { name: 'FIFO', value: fifo },
    aim: { value: { atMost: 5 } },
  });
  return figures;
};

interface QueueCosts {
  /** Of each take, add and page. */
  readonly pickUs: readonly number[];
  readonly addUs: readonly number[];
  readonly pageMs: readonly number[];
  readonly bytesPerJob: number;
}

async function measureQueue(
  context: BenchmarkContext,
  size: { readonly jobs: number; readonly tenants: number },
): Promise<QueueCosts> {
  const server = await startTestRedis();
  const log = createLogger({ level: 'silent', name: 'bench' });
  const redis = connectRedis(server.url, 'blocking', log);
  const names = new RedisNames('bench');
  const permits = createPermitQueue(redis, names);
  const producer = new Producer(redis, names, permits, {
    ...{ maxPending: 1e7, maxPendingBytes: 1e12, perClient: 'serial' },
  });
  const consumer = new Consumer(redis, names, permits, {
    ...{ eventsPerJob: 100, eventBytesPerJob: 1_000_000 },
    ...{ eventsTtlSeconds: 3_600, maxEventBytes: 1_000_000 },
  });
  // As one of the tenants asks for its own.
  const reader = new Reader(redis, names).of('tenant-1');
  const ownJobs = Math.floor(size.jobs / size.tenants);
  let added = 0;
  const add = async (): Promise<void> => {
    const number = (added += 1);
    const job = pendingJob(number, {
      id: `tenant-${number % size.tenants}`,
      limits: { weight: 1 + (number % 4), maxRunning: 1_000, intervalMs: 0 },
    });
    await producer.enqueue(job);
    await producer.release(job.id, job.tenant?.id);
  };
  const before = await readMemory(redis);
  await repeat(size.jobs, add);
  const bytesPerJob = ((await readMemory(redis)) - before) / size.jobs;
  context.say(`fairness: ${size.jobs} jobs of ${size.tenants} tenants wait`);

  const samples = Math.min(SAMPLES, size.jobs);
  const addUs = await timeScripts(redis, async () => {
    for (let n = 0; n < samples; n += 1) await add();
  });
  const pageMs: number[] = [];
  for (let n = 0; n < 200; n += 1) {
    const startedAt = performance.now();
    const { ids } = await reader.listJobIds({
      ...{ states: ['pending'], sortBy: 'created', descending: true },
      ...{ offset: Math.floor(ownJobs / 2), limit: PAGE },
    });
    let shown = 0;
    for await (const page of reader.streamViews(ids)) shown += page.length;
    if (shown < Math.min(PAGE, ownJobs / 2)) throw new Error('a page is not full');
    pageMs.push(performance.now() - startedAt);
  }
  const pickUs = await timeScripts(redis, async () => {
    for (let n = 0; n < samples; n += 1) {
      if ((await consumer.take(`pick-${n}`, workerId('bench'))) === undefined) {
        throw new Error('no job was ready');
      }
    }
  });
  await permits.close();
  redis.disconnect();
  await server.kill9();
  return { pickUs, addUs, pageMs, bytesPerJob };
}

/** BullMQ as its documentation shows it: one queue for everybody, first in, first out. */
async function measureBullmq(
  context: BenchmarkContext,
  jobs: number,
): Promise<Pick<QueueCosts, 'pickUs' | 'bytesPerJob'>> {
  const server = await startTestRedis();
  const redis = connectRedis(
    server.url,
    'blocking',
    createLogger({ level: 'silent', name: 'bench' }),
  );
  const queue = new Queue('bench', { connection: redis });
  const worker = new Worker('bench', undefined, { connection: redis, autorun: false });
  const before = await readMemory(redis);
  const { promptText, extraText, outputIds } = pendingJob(1);
  for (let done = 0; done < jobs; done += 1_000) {
    await queue.addBulk(
      Array.from({ length: 1_000 }, (_, n) => ({
        ...{ name: 'job', data: { id: done + n, promptText, extraText, outputIds } },
      })),
    );
  }
  const bytesPerJob = ((await readMemory(redis)) - before) / jobs;
  context.say(`fairness: ${jobs} jobs wait in BullMQ`);
  const pickUs = await timeScripts(redis, async () => {
    for (let n = 0; n < SAMPLES; n += 1) await worker.getNextJob(randomUUID(), { block: false });
  });
  await worker.close();
  await queue.close();
  redis.disconnect();
  await server.kill9();
  return { pickUs, bytesPerJob };
}

/** How long Redis was busy with each script, in µs. */
async function timeScripts(redis: Redis, act: () => Promise<void>): Promise<number[]> {
  await redis.config('SET', 'slowlog-max-len', String(20 * SAMPLES));
  await redis.config('SET', 'slowlog-log-slower-than', '0');
  await redis.slowlog('RESET');
  await act();
  await redis.config('SET', 'slowlog-log-slower-than', '-1');
  // [id, time, µs, [command, ...], ...]
  const entries = (await redis.slowlog('GET', 20 * SAMPLES)) as [
    number,
    number,
    number,
    string[],
  ][];
  return entries.flatMap(([, , micros, [command = '']]) =>
    command.toLowerCase() === 'evalsha' ? [micros] : [],
  );
}

async function repeat(count: number, act: () => Promise<void>): Promise<void> {
  let left = count;
  const loop = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await act();
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, loop));
}

async function readMemory(redis: Redis): Promise<number> {
  return Number(/^used_memory:(\d+)/m.exec(await redis.info('memory'))?.[1]);
}
