import { permitId, type PermitId, type RedisNames } from '@tiercel/contracts';
import type { Redis } from '@tiercel/runtime';
import { Queue } from 'bullmq';
import type { Wake } from './wake.ts';

/**
 * The BullMQ queue of permits. A permit carries no data: it is a licence to run one job, and which one
 * is decided only when a worker takes it (lua/take.ts); a worker keeps it as long as there is another
 * job to take. BullMQ delivers permits, watches over the workers that hold them, and redelivers those of
 * the dead.
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

/**
 * Permits that may wait at once. A worker that ends a job asks for the next one under the same permit,
 * so a backlog needs no permit for each of its jobs: only enough for every free hand that may come.
 */
export const MAX_WAITING_PERMITS = 256;

export async function addPermit(queue: Queue): Promise<PermitId> {
  const { id } = await queue.add('permit', null);
  return permitId(id ?? ''); // BullMQ gives one to each
}

export async function addPermits(queue: Queue, count: number): Promise<void> {
  if (count === 1) await addPermit(queue);
  else if (count > 1) {
    await queue.addBulk(Array.from({ length: count }, () => ({ name: 'permit', data: null })));
  }
}

/**
 * Wakes free hands when limits of tenants lift. One delayed permit is enough: who gets it is told the next time. What
 * is lost here, with a process that dies or a Redis that cannot serve, the sweeper adds.
 */
export class Waker {
  readonly #permits: Queue;
  /** The delayed permit that this process added last, by Redis' clock. */
  #nextAtMs = 0;
  /** When it is due, by this process' own clock. */
  #passes = 0;

  constructor(permits: Queue) {
    this.#permits = permits;
  }

  /** Adds permits that must not be lost, then wakes with what else is to be told. Throws when they cannot be added. */
  async addPermits(count: number, { permits, next }: Wake): Promise<void> {
    await addPermits(this.#permits, count);
    await this.wake({ permits: Math.max(0, permits - count), next });
  }

  /** Never throws. */
  async wake({ permits, next }: Wake): Promise<void> {
    try {
      await addPermits(this.#permits, permits);
      if (next === undefined) return;
      const now = performance.now();
      if (next.atMs >= this.#nextAtMs && now < this.#passes) return;
      // Of one time there is one permit, whoever adds it.
      await this.#permits.add('permit', null, { delay: next.inMs, jobId: `due-${next.atMs}` });
      this.#nextAtMs = next.atMs;
      this.#passes = now + next.inMs;
    } catch {
      // The sweeper adds it.
    }
  }
}
