import { connectRedis, createLogger } from '@tiercel/runtime';
import { Queue, Worker } from 'bullmq';

/** BullMQ as its documentation shows it, default options, on connections like Tiercel's own. */
const QUEUE = 'bench';
const PREFIX = 'bench-bullmq';

export interface BullmqWorkCommand {
  readonly redisUrl: string;
  readonly concurrency: number;
  /** `start` resolves when the worker is connected, `wait` when it has completed `count` more jobs. */
  readonly step: 'start' | { readonly wait: number };
}

let worker: Worker | undefined;

export async function workBullmq(command: BullmqWorkCommand): Promise<void> {
  const current = (worker ??= new Worker(QUEUE, () => Promise.resolve(), {
    connection: connect(command.redisUrl),
    prefix: PREFIX,
    concurrency: command.concurrency,
  }));
  await current.waitUntilReady();
  if (command.step === 'start') return;
  let missing = command.step.wait;
  await new Promise<void>((resolve) => {
    const count = (): void => {
      missing -= 1;
      if (missing > 0) return;
      current.off('completed', count);
      resolve();
    };
    current.on('completed', count);
  });
}

export interface BullmqAddCommand {
  readonly redisUrl: string;
  readonly count: number;
  /** Loops that each add one job at a time. */
  readonly loops: number;
}

let queue: Queue | undefined;

export async function addToBullmq({ redisUrl, count, loops }: BullmqAddCommand): Promise<void> {
  const current = (queue ??= new Queue(QUEUE, { connection: connect(redisUrl), prefix: PREFIX }));
  let added = 0;
  const loop = async (): Promise<void> => {
    while (added < count) {
      added += 1;
      await current.add('empty', null);
    }
  };
  await Promise.all(Array.from({ length: loops }, loop));
}

function connect(redisUrl: string) {
  return connectRedis(redisUrl, 'blocking', createLogger({ level: 'silent', name: 'bench' }));
}
