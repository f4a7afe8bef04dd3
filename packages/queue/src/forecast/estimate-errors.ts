import { jobIdOf, unscoped, type RedisNames } from '@tiercel/contracts';
import { startInterval, type Logger, type Redis } from '@tiercel/runtime';
import type { Estimate } from './forecast.ts';
import type { Forecaster } from './forecaster.ts';

/** Jobs whose truth is awaited; beyond it the oldest is forgotten. */
const MAX_JOBS = 1_000;
const CHECK_MS = 5_000;

/** What was said first of a job, as far as the truth of it is not known yet. */
interface Said {
  readonly tenant: string;
  readonly id: string;
  startMs: number | undefined;
  readonly endMs: number | undefined;
}

/**
 * Compares what was said of jobs with what became of them. It remembers the first estimate of each job, and asks for one
 * of a waiting job that it picks by lot, so that there is a measure although nobody asks. It only reads.
 */
export class EstimateErrors {
  readonly #redis: Redis;
  readonly #names: RedisNames;
  readonly #forecaster: Forecaster;
  readonly #observe: (of: 'start' | 'end', seconds: number) => void;
  readonly #log: Logger;
  readonly #said = new Map<string, Said>();
  #timer: NodeJS.Timeout | undefined;

  constructor(dependencies: {
    redis: Redis;
    names: RedisNames;
    forecaster: Forecaster;
    /** @param seconds between what was said and what came, without sign */
    observe: (of: 'start' | 'end', seconds: number) => void;
    log: Logger;
  }) {
    this.#redis = dependencies.redis;
    this.#names = dependencies.names;
    this.#forecaster = dependencies.forecaster;
    this.#observe = dependencies.observe;
    this.#log = dependencies.log;
  }

  start(): void {
    this.#timer = startInterval(() => {
      this.check().catch((error: unknown) => {
        this.#log.debug({ err: error }, 'estimates could not be compared with the truth');
      });
    }, CHECK_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Estimates that were given to somebody. */
  note(estimates: ReadonlyMap<string, Estimate>, tenant: string): void {
    for (const [id, { position, startMs, endMs }] of estimates) {
      const key = this.#names.job(jobIdOf(tenant, id));
      if (position === undefined || startMs === undefined || this.#said.has(key)) continue;
      this.#said.set(key, { tenant, id, startMs, endMs });
      if (this.#said.size <= MAX_JOBS) continue;
      // Maps keep insertion order.
      for (const oldest of this.#said.keys()) {
        this.#said.delete(oldest);
        break;
      }
    }
  }

  /** One look at what has become of the jobs, and a new estimate of one that waits. */
  async check(): Promise<void> {
    await Promise.all([...this.#said].map(([key, said]) => this.#compare(key, said)));
    const drawn = await Promise.all(
      this.#names.ofAll(this.#names.pending).map((set) => this.#redis.zrandmember(set)),
    );
    for (const member of drawn) {
      if (member === null) continue;
      const { tenant, text: id } = unscoped(member.slice(MEMBER_ID));
      this.note(await this.#forecaster.estimate([id], tenant), tenant);
    }
  }

  async #compare(key: string, said: Said): Promise<void> {
    const [state, taken, ended] = await this.#redis.hmget(key, 'state', 'taken', 'ended');
    if (state === 'pending') return;
    if (said.startMs !== undefined && typeof taken === 'string') {
      this.#observe('start', Math.abs(Number(taken) - said.startMs) / 1_000);
      said.startMs = undefined;
    }
    if (state === 'running') return;
    // One that failed or was stopped says nothing of how long it would have taken.
    if (state === 'success' && said.endMs !== undefined) {
      this.#observe('end', Math.abs(Number(ended) - said.endMs) / 1_000);
    }
    this.#said.delete(key);
  }
}

/** Where the id begins in a member of a set: see members.lua. */
const MEMBER_ID = 17;
