import { randomUUID } from 'node:crypto';
import { RedisNames, workerId } from '@tiercel/contracts';
import {
  Consumer,
  createClaimId,
  createPermitQueue,
  Producer,
  type TakenJob,
} from '@tiercel/queue';
import { connectRedis, createLogger } from '@tiercel/runtime';
import { startTestRedis } from '@tiercel/testkit';
import { Queue, Worker, type Job } from 'bullmq';
import { describeSuccess } from './fill-history.ts';
import { pendingJob } from './pending-job.ts';

/** All of them have more queued than can be run; `costMs` is what one of their jobs takes, in simulated time. */
const TENANTS = [
  { weight: 1, costMs: 400 },
  { weight: 1, costMs: 50 },
  { weight: 2, costMs: 200 },
  { weight: 3, costMs: 100 },
  { weight: 4, costMs: 300 },
  { weight: 4, costMs: 60 },
];
const WORKERS = 4;
const SIMULATED_MS = 150_000;

const log = createLogger({ level: 'silent', name: 'bench' });

/** Somewhere to take jobs from, and to put them back when they have run. */
interface Source<J> {
  readonly add: (tenant: number) => Promise<void>;
  readonly take: () => Promise<J | undefined>;
  readonly tenantOf: (job: J) => number;
  readonly end: (job: J, ranMs: number) => Promise<void>;
}

/** How far the share of a tenant is from that of its weight, at most: in percent of it. */
export async function measureShares(): Promise<number> {
  const redis = connectRedis((await startTestRedis()).url, 'blocking', log);
  const names = new RedisNames('bench');
  const permits = createPermitQueue(redis, names);
  const producer = new Producer(redis, names, permits, {
    ...{ maxPending: 1e6, maxPendingBytes: 1e12, perClient: 'serial' },
  });
  const consumer = new Consumer(redis, names, permits, {
    ...{ eventsPerJob: 100, eventBytesPerJob: 1_000_000 },
    ...{ eventsTtlSeconds: 3_600, maxEventBytes: 1_000_000 },
  });
  let added = 0;
  const error = await simulate<TakenJob>({
    add: async (tenant) => {
      const job = pendingJob(
        (added += 1),
        { id: String(tenant), limits: { weight: TENANTS[tenant]?.weight ?? 1 } },
        // What is expected at first is the same for all: wrong.
        { signature: String(tenant), estimateMs: 1_000 },
      );
      await producer.enqueue(job);
      await producer.release(job.id, job.tenant?.id);
    },
    take: () => consumer.take(createClaimId(), workerId('bench')),
    tenantOf: ({ tenant }) => Number(tenant),
    end: async (job, ranMs) => {
      await consumer.finish(job, describeSuccess(job, ranMs), 0, undefined);
    },
  });
  await permits.close();
  redis.disconnect();
  return error;
}

/** The same with one queue for everybody, first in, first out. */
export async function measureSharesOfFifo(): Promise<number> {
  const redis = connectRedis((await startTestRedis()).url, 'blocking', log);
  const queue = new Queue<number>('bench', {
    ...{ connection: redis, defaultJobOptions: { removeOnComplete: true } },
  });
  const worker = new Worker<number>('bench', undefined, { connection: redis, autorun: false });
  const token = randomUUID();
  const error = await simulate<Job<number>>({
    add: async (tenant) => {
      await queue.add('job', tenant);
    },
    take: () => worker.getNextJob(token, { block: false }),
    tenantOf: ({ data }) => data,
    end: async (job) => {
      await job.moveToCompleted(null, token, false);
    },
  });
  await worker.close();
  await queue.close();
  redis.disconnect();
  return error;
}

async function simulate<J>({ add, take, tenantOf, end }: Source<J>): Promise<number> {
  const served = TENANTS.map(() => 0);
  for (let n = 0; n < 2 * WORKERS; n += 1) {
    for (const tenant of TENANTS.keys()) await add(tenant);
  }
  let running: { job: J; tenant: number; endsAt: number }[] = [];
  for (let now = 0; now < SIMULATED_MS;) {
    while (running.length < WORKERS) {
      const job = await take();
      if (job === undefined) throw new Error('no job was ready');
      const tenant = tenantOf(job);
      running.push({ job, tenant, endsAt: now + costOf(tenant) });
      await add(tenant);
    }
    now = Math.min(...running.map(({ endsAt }) => endsAt));
    for (const { job, tenant, endsAt } of running) {
      if (endsAt > now) continue;
      await end(job, costOf(tenant));
      served[tenant] = (served[tenant] ?? 0) + costOf(tenant);
    }
    running = running.filter(({ endsAt }) => endsAt > now);
  }
  const total = served.reduce((sum, ms) => sum + ms, 0);
  const weights = TENANTS.reduce((sum, { weight }) => sum + weight, 0);
  return Math.max(
    ...TENANTS.map(({ weight }, tenant) => {
      const due = weight / weights;
      return (100 * Math.abs((served[tenant] ?? 0) / total - due)) / due;
    }),
  );
}

const costOf = (tenant: number): number => TENANTS[tenant]?.costMs ?? 0;
