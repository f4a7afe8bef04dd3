import type { RedisNames } from '@tiercel/contracts';
import type { Redis } from '@tiercel/runtime';
import { Queue } from 'bullmq';

/**
 * The BullMQ queue of permits. A permit carries no data: it is a licence to run one job, and which one
 * is decided only when a worker takes it (lua/consume.ts). BullMQ delivers permits, watches over the
 * workers that hold them, and redelivers those of the dead.
 */
export function createPermitQueue(redis: Redis, names: RedisNames): Queue {
  const queue = new Queue(names.permitQueue, {
    connection: redis,
    prefix: names.bullPrefix,
    defaultJobOptions: { removeOnComplete: true, removeOnFail: true },
    streams: { events: { maxLen: 100 } },
    skipMetasUpdate: false,
  });
  // Connection trouble is reported by the connection itself; without a listener it would be thrown.
  queue.on('error', () => undefined);
  return queue;
}

export async function addPermit(queue: Queue): Promise<void> {
  await queue.add('permit', null);
}
