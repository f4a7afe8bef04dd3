import { permitId, type PermitId, type RedisNames } from '@tiercel/contracts';
import { startInterval, type Logger, type Redis } from '@tiercel/runtime';
import { WaitingError, Worker } from 'bullmq';
import { PermitLease } from './permit-lease.ts';

export interface PermitRunnerOptions {
  readonly concurrency: number;
  readonly lockMs: number;
}

/**
 * Renewals and checks for lost locks in one lock's time. A dead worker's permit is delivered again when its lock
 * has run out and a check has seen it; checks of several workers take turns, so two intervals may pass:
 * lockMs * (1 + 2 / 6) at most. A living worker may miss three renewals and more.
 */
const TICKS_PER_LOCK = 6;

/**
 * Receives permits and calls `run` for each, up to `concurrency` at once, and renews their locks. BullMQ delivers
 * a permit again when its lock has run out.
 *
 * That may happen to a process that lives: Redis was away, the machine slept, the event loop was blocked. So a
 * permit may come back to the process that is still at work with it. The work goes on then, under the lock of
 * the new delivery; the former delivery is over, and BullMQ is told nothing about it. (BullMQ's own renewal knows
 * one lock a permit, and the end of the first delivery would take away that of the second.)
 *
 * What a lost lock means for the job is `onDoubt`'s to find out: it is asked whenever a permit is delivered again
 * and, at every renewal, of each permit that has no lock.
 */
export class PermitRunner {
  readonly #worker: Worker;
  readonly #run: (lease: PermitLease) => Promise<void>;
  readonly #onDoubt: (permit: PermitId) => Promise<void>;
  readonly #lockMs: number;
  readonly #log: Logger;
  readonly #leases = new Map<PermitId, PermitLease>();
  #timer: NodeJS.Timeout | undefined;
  #isRenewing = false;

  constructor(dependencies: {
    redis: Redis;
    names: RedisNames;
    options: PermitRunnerOptions;
    log: Logger;
    run: (lease: PermitLease) => Promise<void>;
    onDoubt: (permit: PermitId) => Promise<void>;
  }) {
    const { redis, names, options, log, run, onDoubt } = dependencies;
    this.#run = run;
    this.#onDoubt = onDoubt;
    this.#lockMs = options.lockMs;
    this.#log = log;
    this.#worker = new Worker(
      names.permitQueue,
      async (job, token) => {
        if (job.id !== undefined) await this.#receive(permitId(job.id), token ?? '');
      },
      {
        connection: redis,
        prefix: names.bullPrefix,
        concurrency: options.concurrency,
        lockDuration: options.lockMs,
        skipLockRenewal: true,
        stalledInterval: this.#tickMs,
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

  get #tickMs(): number {
    return Math.floor(this.#lockMs / TICKS_PER_LOCK);
  }

  start(): void {
    this.#timer = startInterval(() => {
      void this.#renew();
    }, this.#tickMs);
    void this.#worker.run();
  }

  /** Takes no more permits until `resume`; those that are held go on. */
  async pause(): Promise<void> {
    await this.#worker.pause(true);
  }

  async resume(): Promise<void> {
    await this.#worker.resume();
  }

  /** Takes no more permits; resolves when the held ones are done. */
  async stop(): Promise<void> {
    await this.#worker.close();
    clearInterval(this.#timer);
  }

  /** @throws WaitingError when BullMQ has delivered the permit to somebody else, or is about to */
  async #receive(permit: PermitId, token: string): Promise<void> {
    let lease = this.#leases.get(permit);
    for (; lease !== undefined; lease = this.#leases.get(permit)) {
      const delivery = lease.moveTo(token);
      this.#log.warn({ permit }, 'a permit came back to the process that works with it');
      await this.#askInDoubt(permit);
      await lease.outlast(delivery);
      if (!lease.isHeldBy(delivery)) throw new WaitingError();
    }
    lease = new PermitLease(permit, () => this.#leases.delete(permit));
    const delivery = lease.moveTo(token);
    this.#leases.set(permit, lease);
    lease.begin(this.#run(lease));
    await lease.outlast(delivery);
    if (!lease.isHeldBy(delivery)) throw new WaitingError();
  }

  async #askInDoubt(permit: PermitId): Promise<void> {
    try {
      await this.#onDoubt(permit);
    } catch (error) {
      this.#log.debug({ err: error, permit }, 'a claim could not be checked');
    }
  }

  /** Never throws: what could not be asked now is asked at the next tick. */
  async #renew(): Promise<void> {
    if (this.#isRenewing) return;
    this.#isRenewing = true;
    try {
      const held = [...this.#leases.values()].flatMap(({ permit, delivery }) =>
        delivery === undefined ? [] : [{ permit, delivery }],
      );
      const failed =
        held.length === 0
          ? []
          : await this.#worker.extendJobLocks(
              held.map(({ permit }) => permit),
              held.map(({ delivery }) => delivery.token),
              this.#lockMs,
            );
      for (const { permit, delivery } of held) {
        if (!failed.includes(permit)) continue;
        // Not a lock that came with a new delivery meanwhile.
        if (this.#leases.get(permit)?.loseLock(delivery)) {
          this.#log.warn({ permit }, 'the lock of a permit is lost');
        }
      }
      for (const lease of [...this.#leases.values()]) {
        if (!lease.isHeld) await this.#askInDoubt(lease.permit);
      }
    } catch (error) {
      this.#log.debug({ err: error }, 'locks could not be renewed');
    } finally {
      this.#isRenewing = false;
    }
  }
}
