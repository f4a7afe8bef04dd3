import { RedisNames, workerId, type JobResult } from '@tiercel/contracts';
import { Consumer, createPermitQueue, Producer, type TakenJob } from '@tiercel/queue';
import { connectRedis, createLogger } from '@tiercel/runtime';
import { pendingJob } from './pending-job.ts';

const AT_ONCE = 64;

/** Puts ended jobs into a store through the real queue, without running them. */
export async function fillHistory(options: {
  redisUrl: string;
  redisPrefix: string;
  count: number;
}): Promise<void> {
  const log = createLogger({ level: 'silent', name: 'bench' });
  const redis = connectRedis(options.redisUrl, 'blocking', log);
  const names = new RedisNames(options.redisPrefix);
  const permits = createPermitQueue(redis, names);
  const producer = new Producer(redis, names, permits, {
    maxPending: options.count,
    maxPendingBytes: 1e9,
    perClient: 'serial',
  });
  const consumer = new Consumer(redis, names, permits, {
    ...{ eventsPerJob: 100, eventBytesPerJob: 1_000_000 },
    ...{ eventsTtlSeconds: 3_600, maxEventBytes: 1_000_000 },
  });
  let next = 0;
  const loop = async (): Promise<void> => {
    while (next < options.count) {
      next += 1;
      await endOneJob(producer, consumer, next);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, loop));
  await permits.close();
  redis.disconnect();
}

async function endOneJob(producer: Producer, consumer: Consumer, index: number): Promise<void> {
  const pending = pendingJob(index);
  await producer.enqueue(pending);
  await producer.release(pending.id);
  // With many at once this is perhaps another loop's job; each ends exactly one.
  const job = await consumer.take(`bench-${index}`, workerId('bench'));
  if (job === undefined) throw new Error('no job was ready');
  const now = Date.now();
  const { ours } = await consumer.finish(job, describeSuccess(job, now), now - 5, undefined);
  if (!ours) throw new Error('a job was not ours to end');
}

export function describeSuccess({ id, number }: TakenJob, timestamp: number): JobResult {
  const filename = `bench_${String(number).padStart(5, '0')}_.png`;
  const node = { node_id: '2', display_node: '2', parent_node: null, real_node_id: '2' };
  const data = { prompt_id: id, timestamp };
  return {
    outcome: 'success',
    outputs: { '2': { images: [{ filename, subfolder: '', type: 'output' }] } },
    meta: { '2': node },
    messages: [
      ['execution_start', data],
      ['execution_cached', { nodes: [], ...data }],
      ['execution_success', data],
    ],
    terminal: { type: 'execution_success', data },
    report: {
      served_by: { tier: 'embedded', driver: 'embedded', model: null },
      attempts: [{ tier: 'embedded', driver: 'embedded', class: 'ok', ms: 5 }],
      degraded: false,
      dropped_params: [],
    },
  };
}
