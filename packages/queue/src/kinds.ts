import {
  jobNeedsSchema,
  judgeJob,
  type Fleet,
  type JobId,
  type JobNeeds,
  type RedisNames,
} from '@tiercel/contracts';
import type { Redis } from '@tiercel/runtime';
import type { Queue } from 'bullmq';
import { judgeScript } from './lua/judge.ts';
import { addPermits, MAX_WAITING_PERMITS, Waker } from './permits.ts';

/** What is to be written of one job. */
interface NewVerdict {
  readonly id: JobId;
  /** Which workers it is for, as `judgeJob` has it. */
  readonly kind: string;
  /** What it was judged by, when the record does not have it yet. */
  readonly needs?: string;
  /** Workers that declined it may be asked again. */
  readonly forgetsDeclined?: boolean;
}

/** Reads what a prompt (JSON text) needs. */
export type DescribeNeeds = (promptText: string) => Pick<JobNeeds, 'classes' | 'models'>;

/** Jobs judged by one script. */
const BATCH = 100;
/** Jobs that are judged once more in one sweep; the next one goes on. */
const MAX_UNJUDGED = 1_000;

/** Keeps true which workers each waiting job is for, while workers come, change and go. */
export class Kinds {
  readonly #redis: Redis;
  readonly #names: RedisNames;
  readonly #permits: Queue;
  readonly #waker: Waker;

  constructor(redis: Redis, names: RedisNames, permits: Queue) {
    this.#redis = redis;
    this.#names = names;
    this.#permits = permits;
    this.#waker = new Waker(permits);
  }

  /**
   * Judges every waiting job when the workers are others than those it was judged for last, and those that came or
   * were put back meanwhile. Several processes may do so at once: the last to begin is right, the others give up.
   *
   * Whoever enqueues from the first line on says for which workers it judged: what does not fit is judged here again.
   */
  async follow(fleet: Fleet, describe: DescribeNeeds): Promise<void> {
    const { signature } = fleet;
    if (fleet.profiles.every(({ isDrained }) => isDrained === true)) return;
    const { judgingFor, judgedFor } = this.#names;
    const known = await this.#redis.mget(judgingFor, judgedFor);
    if (known.some((text) => (text ?? '') !== signature)) {
      await this.#put(judgingFor, signature);
      if (!(await this.#judge(await this.#listPending(), fleet, describe))) return;
      await this.#put(judgedFor, signature);
    }
    const left = await this.#redis.srandmember(this.#names.unjudged, MAX_UNJUDGED);
    await this.#judge(left as JobId[], fleet, describe); // written by enqueue
  }

  /** Whether jobs wait that not every worker can run. */
  async haveJobs(): Promise<boolean> {
    return (await this.#redis.exists(this.#names.kinds)) === 1;
  }

  /**
   * Jobs that do not wait are left as they are.
   * @param signature of the fleet that they were judged for
   * @returns false when jobs are judged for another fleet by now: then nothing more is written
   */
  async write(verdicts: readonly NewVerdict[], signature: string): Promise<boolean> {
    for (let at = 0; at < verdicts.length; at += BATCH) {
      const written = await judgeScript.run(this.#redis, {
        prefix: this.#names.prefix,
        max_waiting: MAX_WAITING_PERMITS,
        fleet: signature,
        verdicts: verdicts
          .slice(at, at + BATCH)
          .flatMap(({ id, kind, needs = '', forgetsDeclined }) => [
            ...[id, kind, needs, forgetsDeclined === true ? 1 : 0],
          ]),
      });
      if (written === undefined) return false;
      const { permits, wake } = written;
      await addPermits(this.#permits, permits);
      await this.#waker.wake({ ...wake, permits: Math.max(0, wake.permits - permits) });
    }
    return true;
  }

  async #listPending(): Promise<JobId[]> {
    const { pending } = this.#names;
    // Those of the default tenant, and those of all others (contracts/src/lua/includes/tenants.lua).
    const parts = await Promise.all(
      [pending, `${pending}@`].map((part) => this.#redis.zrange(part, 0, '-1')),
    );
    // Written by enqueue.
    return parts.flat().map((member) => member.slice(17) as JobId);
  }

  async #judge(ids: readonly JobId[], fleet: Fleet, describe: DescribeNeeds): Promise<boolean> {
    // Jobs that need the same are judged once.
    const known = new Map<string, JobNeeds>();
    for (let at = 0; at < ids.length; at += BATCH) {
      const batch = ids.slice(at, at + BATCH);
      const verdicts = await Promise.all(
        batch.map((id) => this.#verdict(id, fleet, describe, known)),
      );
      if (!(await this.write(verdicts, fleet.signature))) return false;
    }
    return true;
  }

  async #verdict(
    id: JobId,
    fleet: Fleet,
    describe: DescribeNeeds,
    known: Map<string, JobNeeds>,
  ): Promise<NewVerdict> {
    const [kind, text, declined] = await this.#redis.hmget(
      this.#names.job(id),
      ...(['kind', 'needs', 'declined'] as const),
    );
    // Never judged, and nothing to judge: all workers are alike.
    if (typeof text !== 'string' && fleet.signature === '') return { id, kind: kind ?? '' };
    const wanted = text ?? (await this.#describe(id, describe));
    if (wanted === undefined) return { id, kind: kind ?? '' };
    const needs = known.get(wanted) ?? parseNeeds(wanted);
    known.set(wanted, needs);
    const judgement = judgeJob(needs, fleet, splitDeclined(declined));
    return {
      ...{ id, kind: judgement.kind, forgetsDeclined: judgement.isDeclinedByAll },
      ...(text === wanted ? {} : { needs: wanted }),
    };
  }

  /** Of a job that came while all workers were alike; undefined when its record is gone. */
  async #describe(id: JobId, describe: DescribeNeeds): Promise<string | undefined> {
    const [prompt, tenant, estimate] = await this.#redis.hmget(
      this.#names.job(id),
      ...(['prompt', 'tenant', 'estimate_ms'] as const),
    );
    if (typeof prompt !== 'string') return undefined;
    const plan = await this.#redis.hget(this.#names.tenant(tenant ?? ''), 'plan');
    return needsText({
      ...describe(prompt),
      ...(plan === null ? {} : { plan }),
      ...(typeof estimate === 'string' ? { costMs: Number(estimate) } : {}),
    });
  }

  async #put(key: string, signature: string): Promise<void> {
    if (signature === '') await this.#redis.del(key);
    else await this.#redis.set(key, signature);
  }
}

/** As records have it: the same needs give the same text. */
export function needsText({ classes, models, plan, pool, tiers, costMs }: JobNeeds): string {
  return JSON.stringify({ classes, models, plan, pool, tiers, costMs });
}

function parseNeeds(text: string): JobNeeds {
  const parsed = jobNeedsSchema.safeParse(JSON.parse(text));
  // Of another version: it needs nothing that is known here, and whoever cannot run it declines it.
  return parsed.success ? parsed.data : { classes: [], models: [] };
}

function splitDeclined(text: string | null | undefined): string[] {
  return (text ?? '').split(';').filter((id) => id !== '');
}

/** What the record of a job says of its needs, and which profiles have declined it. */
export function parseNeedsOf(
  needs: string | null | undefined,
  declined: string | null | undefined,
): { readonly needs: JobNeeds | undefined; readonly declined: readonly string[] } {
  return {
    needs: typeof needs === 'string' ? parseNeeds(needs) : undefined,
    declined: splitDeclined(declined),
  };
}
