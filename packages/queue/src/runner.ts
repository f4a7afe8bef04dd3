import type { RedisNames } from '@tiercel/contracts';
import type { Logger, Redis } from '@tiercel/runtime';
import { Worker } from 'bullmq';

export interface PermitRunnerOptions {
  readonly concurrency: number;
  readonly lockMs: number;
}

/**
 * Receives permits and calls `run` for each, up to `concurrency` at once. BullMQ renews the lock of a
 * held permit and redelivers it to another worker when this process dies.
 */
export class PermitRunner {
  readonly #worker: Worker;

  constructor(dependencies: {
    redis: Redis;
    names: RedisNames;
    options: PermitRunnerOptions;
    log: Logger;
    run: (permit: string) => Promise<void>;
  }) {
    const { redis, names, options, log, run } = dependencies;
    this.#worker = new Worker(
      names.permitQueue,
      async (job) => {
        if (job.id !== undefined) await run(job.id);
      },
      {
        connection: redis,
        prefix: names.bullPrefix,
        concurrency: options.concurrency,
        lockDuration: options.lockMs,
        stalledInterval: Math.max(250, Math.floor(options.lockMs / 2)),
        // How often a job may be started is counted on its record (queue.attempts), not on its permit.
        maxStalledCount: Number.MAX_SAFE_INTEGER,
        autorun: false,
      },
    );
    this.#worker.on('error', (error) => {
      log.debug({ err: error }, 'bullmq');
    });
    this.#worker.on('failed', (job, error) => {
      log.error({ err: error, permit: job?.id }, 'a permit failed');
    });
  }

  start(): void {
    void this.#worker.run();
  }

  /** Takes no more permits; resolves when the held ones are done. */
  async stop(): Promise<void> {
    await this.#worker.close();
  }
}
