import type { RedisNames } from '@tiercel/contracts';
import type { Redis } from '@tiercel/runtime';
import { Queue } from 'bullmq';

/**
 * The BullMQ queue of turns. A turn carries no data: it is the licence to make one delivery after another, and which
 * is decided when it is taken (lua/take-delivery.ts), as permits are for jobs. BullMQ hands turns to live workers,
 * and those of a dead one to another.
 */
export function createTurnQueue(redis: Redis, names: RedisNames): Queue {
  const queue = new Queue(names.webhookQueue, {
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
