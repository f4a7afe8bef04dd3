import { setImmediate as nextTurn } from 'node:timers/promises';
import { permitId, type PermitId, type RedisNames } from '@tiercel/contracts';
import { startInterval, type Logger, type Redis } from '@tiercel/runtime';
import { WaitingError, Worker, type Job } from 'bullmq';
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
/** Permits that a called worker adds for one job while others snatch them away; the next call goes on. */
const MAX_FETCHES = 5;
/** Turns of the event loop for a reply that is on its way. */
const MAX_TURNS = 1_000;

/**
 * Receives permits and calls `run` for each, up to `concurrency` at once, and renews their locks. BullMQ delivers
 * a permit again when its lock has run out.
 *
 * That may happen to a process that lives: Redis was away, the machine slept, the event loop was blocked. So a
 * permit may come back to the process that is still at work with it. The work goes on then, under the lock of
 * the new delivery; the former delivery is over, and BullMQ is told nothing about it. (BullMQ's own renewal knows
 * one lock a permit, and the end of the first delivery would take away that of the second.)
 *
 * BullMQ delivers permits to any worker, so what only some can run gets none: such a worker is called, and fetches a
 * permit by itself (`call`) when a hand is free. A delivery that comes while called permits have all hands goes back,
 * to other workers, and its place at BullMQ stays taken until a hand is free.
 *
 * What a lost lock means for the job is `onDoubt`'s to find out: it is asked whenever a permit is delivered again
 * and, at every renewal, of each permit that has no lock.
 */
export class PermitRunner {
  readonly #worker: Worker;
  readonly #run: (lease: PermitLease) => Promise<void>;
  readonly #onDoubt: (permit: PermitId) => Promise<void>;
  readonly #redis: Redis;
  readonly #addPermit: () => Promise<PermitId>;
  readonly #concurrency: number;
  readonly #lockMs: number;
  readonly #log: Logger;
  readonly #leases = new Map<PermitId, PermitLease>();
  #timer: NodeJS.Timeout | undefined;
  #isRenewing = false;
  #calls = 0;
  #calling: Promise<void> | undefined;
  /** There may be jobs that it can run and others cannot. */
  #isCalled = false;
  /** What BullMQ has delivered since it has begun to fetch a permit; without a lease: what was beyond its hands. */
  #delivered: Map<PermitId, PermitLease | undefined> | undefined;
  #isStopped = false;
  /** Permits that it has fetched by itself. */
  readonly #called = new Set<Promise<void>>();
  readonly #waitingForHands = new Set<() => void>();

  constructor(dependencies: {
    redis: Redis;
    names: RedisNames;
    options: PermitRunnerOptions;
    log: Logger;
    run: (lease: PermitLease) => Promise<void>;
    onDoubt: (permit: PermitId) => Promise<void>;
    /** For a permit that this worker is about to fetch. */
    addPermit: () => Promise<PermitId>;
  }) {
    const { redis, names, options, log, run, onDoubt, addPermit } = dependencies;
    this.#run = run;
    this.#redis = redis;
    this.#addPermit = addPermit;
    this.#concurrency = options.concurrency;
    this.#onDoubt = onDoubt;
    this.#lockMs = options.lockMs;
    this.#log = log;
    this.#worker = new Worker(
      names.permitQueue,
      async (job, token) => {
        await this.#deliver(job, token ?? '');
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
    this.#callAgain();
    void this.#follow();
  }

  /** Takes no more permits; resolves when the held ones are done. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    if (this.#calling !== undefined || this.#called.size > 0) {
      // Called permits are ended through the same BullMQ worker: it is closed after them.
      await this.#worker.pause(true);
      await this.#calling;
      await Promise.all(this.#called);
    }
    await this.#worker.close();
    clearInterval(this.#timer);
  }

  /**
   * There are jobs that this worker can run and others cannot: fetches permits for them, while hands are free and each
   * finds a job. What no hand is free for, or comes in a pause, is followed afterwards. Never throws: who is not heard
   * is called again.
   */
  async call(): Promise<void> {
    this.#isCalled = true;
    await this.#follow();
  }

  async #follow(): Promise<void> {
    if (!this.#isCalled || !this.#canTake) return;
    this.#calling ??= this.#followCalls();
    await this.#calling;
  }

  async #followCalls(): Promise<void> {
    try {
      // Where one was there may be more; when no hand is free for that, the first that has done its job looks.
      let hasFound = false;
      while ((this.#isCalled || hasFound) && this.#canTake) {
        this.#isCalled = false;
        hasFound = await this.#fetchPermit();
      }
    } catch (error) {
      this.#log.debug({ err: error }, 'a call could not be followed');
    } finally {
      // In the same turn in which it has looked for the last time: a hand that is freed after that begins anew.
      this.#calling = undefined;
    }
  }

  get #canTake(): boolean {
    return !this.#isStopped && !this.#worker.isPaused() && this.#hasFreeHand;
  }

  get #hasFreeHand(): boolean {
    return this.#leases.size < this.#concurrency;
  }

  /** @returns whether it is at work on a job */
  async #fetchPermit(): Promise<boolean> {
    const token = `${this.#worker.id}:called:${(this.#calls += 1)}`;
    // BullMQ's type leaves out that there may be none.
    const fetch = async (): Promise<Job | undefined> =>
      await this.#worker.getNextJob(token, { block: false });
    this.#delivered = new Map();
    try {
      let job = await fetch();
      for (let tries = 0; job === undefined && tries < MAX_FETCHES; tries += 1) {
        const adding = this.#addPermit();
        // Sent right behind it, before an idle worker has heard of it that cannot run the job.
        await nextTurn();
        job = await fetch();
        const permit = await adding;
        job ??= await fetch();
        if (job !== undefined) break;
        const lease = await this.#findDelivered(permit);
        if (lease !== undefined) return await lease.hasJob;
      }
      return job !== undefined && (await this.#use(job, token));
    } finally {
      this.#delivered = undefined;
    }
  }

  /** @returns whether there was a job for a permit that it has fetched */
  async #use(job: Job, token: string): Promise<boolean> {
    if (job.id === undefined || !this.#hasFreeHand) {
      await job.moveToWait(token);
      return false;
    }
    const permit = permitId(job.id);
    const work: Promise<void> = this.#workCalled(job, permit, token).finally(() => {
      this.#called.delete(work);
    });
    this.#called.add(work);
    return (await this.#leases.get(permit)?.hasJob) ?? false;
  }

  /** A permit that it has added, and that BullMQ has delivered to this very worker; undefined when another has got it. */
  async #findDelivered(permit: PermitId): Promise<PermitLease | undefined> {
    const lock = await this.#redis.get(`${this.#worker.toKey(permit)}:lock`);
    const isMine = lock?.startsWith(`${this.#worker.id}:`) === true;
    // Its lock is there before BullMQ has read the reply; a reply that is lost never comes.
    for (let turn = 0; isMine && turn < MAX_TURNS; turn += 1) {
      if (this.#delivered?.has(permit) === true) break;
      await nextTurn();
    }
    return this.#delivered?.get(permit);
  }

  /** As BullMQ does with what it delivers. */
  async #workCalled(job: Job, permit: PermitId, token: string): Promise<void> {
    try {
      await this.#receive(permit, token);
      await job.moveToCompleted(undefined, token, false);
    } catch (error) {
      if (error instanceof WaitingError) return;
      this.#log.error({ err: error, permit }, 'a permit failed');
      await job.moveToFailed(toError(error), token, false).catch(() => undefined);
    }
  }

  async #deliver(job: Job, token: string): Promise<void> {
    if (job.id === undefined) return;
    const permit = permitId(job.id);
    if (this.#leases.has(permit) || this.#hasFreeHand) {
      await this.#receive(permit, token);
      return;
    }
    this.#delivered?.set(permit, undefined);
    await job.moveToWait(token);
    await this.#freeHand();
    throw new WaitingError();
  }

  #freeHand(): Promise<void> {
    if (this.#hasFreeHand) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waitingForHands.add(resolve);
    });
  }

  #drop(lease: PermitLease): void {
    this.#leases.delete(lease.permit);
    for (const resolve of this.#waitingForHands) resolve();
    this.#waitingForHands.clear();
    if (!lease.foundNothing) this.#callAgain();
    void this.#follow();
  }

  /** Nobody has looked for a job for this hand; where no workers differ there is none that it would be called for. */
  #callAgain(): void {
    if (this.#calls > 0) this.#isCalled = true;
  }

  /** @throws WaitingError when BullMQ has delivered the permit to somebody else, or is about to */
  async #receive(permit: PermitId, token: string): Promise<void> {
    let known = this.#leases.get(permit);
    for (; known !== undefined; known = this.#leases.get(permit)) {
      const delivery = known.moveTo(token);
      this.#log.warn({ permit }, 'a permit came back to the process that works with it');
      await this.#askInDoubt(permit);
      await known.outlast(delivery);
      if (!known.isHeldBy(delivery)) throw new WaitingError();
    }
    const lease = new PermitLease(permit, () => {
      this.#drop(lease);
    });
    const delivery = lease.moveTo(token);
    this.#leases.set(permit, lease);
    this.#delivered?.set(permit, lease);
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

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
