import type { Fleet, JobId, RedisNames } from '@tiercel/contracts';
import { startInterval, type Logger, type Redis } from '@tiercel/runtime';
import { Job, type Queue } from 'bullmq';
import type { Consumer } from './consumer.ts';
import type { Editor } from './editor.ts';
import { findOlderScript } from './lua/find-older.ts';
import { countStartableScript } from './lua/count-startable.ts';
import type { DescribeNeeds, Kinds } from './kinds.ts';
import { addPermits, MAX_WAITING_PERMITS } from './permits.ts';
import type { Producer } from './producer.ts';

export interface SweeperOptions {
  readonly intervalMs: number;
  /** A job whose answer was not flushed by then is released all the same: its API process died. */
  readonly releaseAfterMs: number;
  /** A running job older than this must still have a live permit. */
  readonly lockMs: number;
  readonly historyMaxItems: number;
  readonly historyMaxDays: number;
}

/** Which workers jobs are for: how that is found out. */
interface FleetReader {
  readonly kinds: Kinds;
  readonly readFleet: () => Promise<Fleet>;
  readonly describeNeeds: DescribeNeeds;
}

interface SweeperParts {
  readonly producer: Producer;
  readonly consumer: Consumer;
  readonly editor: Editor;
  readonly fleet: FleetReader;
}

const DAY_MS = 86_400_000;
/** Forgotten jobs that one sweep releases; the next one goes on. */
const RELEASE_BATCH = 1_000;
/** Running jobs that one sweep looks at: more than all workers together run. */
const MAX_RUNNING = 100_000;

/**
 * Repairs what a process left undone when it died between two steps. Every worker runs one; a lock in
 * Redis lets one sweep at a time. Three gaps exist, all harmless until then:
 * - accepted but not released (API died before the answer was flushed);
 * - ready without a permit (died between the script that made it ready and the BullMQ add, or between
 *   ending a job and taking another);
 * - running, but BullMQ no longer knows its permit (someone emptied the BullMQ queue by hand).
 *
 * It also judges jobs anew when workers have come or gone, and calls those that can run what others cannot.
 */
export class Sweeper {
  readonly #redis: Redis;
  readonly #names: RedisNames;
  readonly #permits: Queue;
  readonly #parts: SweeperParts;
  readonly #options: SweeperOptions;
  readonly #log: Logger;
  #timer: NodeJS.Timeout | undefined;
  #lastShortage = 0;
  #sweeping: Promise<void> = Promise.resolve();

  constructor(dependencies: {
    redis: Redis;
    names: RedisNames;
    permits: Queue;
    parts: SweeperParts;
    options: SweeperOptions;
    log: Logger;
  }) {
    this.#redis = dependencies.redis;
    this.#names = dependencies.names;
    this.#permits = dependencies.permits;
    this.#parts = dependencies.parts;
    this.#options = dependencies.options;
    this.#log = dependencies.log;
  }

  start(): void {
    this.#timer = startInterval(() => {
      this.#sweeping = this.sweep().catch((error: unknown) => {
        this.#log.warn({ err: error }, 'sweep failed');
      });
    }, this.#options.intervalMs);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#sweeping;
  }

  async sweep(): Promise<void> {
    const { sweeping } = this.#names;
    const won = await this.#redis.set(sweeping, '1', 'PX', this.#options.intervalMs, 'NX');
    if (won === null) return;
    await this.#releaseForgotten();
    await this.judge();
    await this.#addMissingPermits();
    await this.#requeueOrphans();
    await this.#parts.editor.trimHistory(this.#options.historyMaxItems);
    await this.#parts.editor.dropHistoryOlderThan(this.#options.historyMaxDays * DAY_MS);
  }

  /** Judges anew which workers jobs are for, as far as that has changed. */
  async judge(): Promise<void> {
    const { kinds, readFleet, describeNeeds } = this.#parts.fleet;
    await kinds.follow(await readFleet(), describeNeeds);
  }

  async #releaseForgotten(): Promise<void> {
    const ids = await this.#findOlder(
      this.#names.unreleased,
      this.#options.releaseAfterMs,
      RELEASE_BATCH,
    );
    for (const id of ids) await this.#parts.producer.releaseJob(id);
    if (ids.length > 0) this.#log.warn({ jobs: ids.length }, 'released jobs of a lost API process');
  }

  /** Two sweeps in a row must see the shortage: between release and add it is normal for a moment. */
  async #addMissingPermits(): Promise<void> {
    const ready = await countStartableScript.run(this.#redis, {
      prefix: this.#names.prefix,
      most: MAX_WAITING_PERMITS,
    });
    const waiting = await this.#permits.getJobCountByTypes('waiting', 'prioritized');
    const shortage = Math.max(0, ready - waiting);
    const missing = Math.min(shortage, this.#lastShortage);
    this.#lastShortage = shortage - missing;
    await addPermits(this.#permits, missing);
    if (missing > 0) this.#log.warn({ permits: missing }, 'added permits that were missing');
  }

  async #requeueOrphans(): Promise<void> {
    for (const running of this.#names.ofAll(this.#names.running)) {
      await this.#requeueOrphansOf(running);
    }
  }

  async #requeueOrphansOf(running: string): Promise<void> {
    for (const id of await this.#findOlder(running, 2 * this.#options.lockMs, MAX_RUNNING)) {
      const [permit, claim] = await this.#redis.hmget(this.#names.job(id), 'permit', 'claim');
      if (typeof permit !== 'string') continue;
      const known = await Job.fromId(this.#permits, permit);
      if (known !== undefined) continue;
      this.#log.warn({ jobId: id }, 'a running job lost its permit: back to the queue');
      await this.#parts.consumer.requeue(id, claim ?? '', { countAttempt: true });
    }
  }

  async #findOlder(set: string, ageMs: number, most: number): Promise<JobId[]> {
    const ids = await findOlderScript.run(this.#redis, { set, older_than_ms: ageMs, most });
    return ids as JobId[]; // the scripts' own
  }
}
