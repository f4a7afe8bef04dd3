import { randomUUID } from 'node:crypto';
import {
  boundedFrame,
  claimId,
  frameText,
  stringifyJson,
  type ClaimId,
  type JobId,
  type JobResult,
  type PermitId,
  type RedisNames,
  type WorkerId,
} from '@tiercel/contracts';
import type { Redis } from '@tiercel/runtime';
import type { Queue } from 'bullmq';
import { parseNeedsOf } from './kinds.ts';
import { answerPreemptionScript } from './lua/answer-preemption.ts';
import { finishScript, parseFinish, type FinishReply } from './lua/finish.ts';
import { handBackScript } from './lua/hand-back.ts';
import { preemptScript, type PreemptedRun } from './lua/preempt.ts';
import { takeScript } from './lua/take.ts';
import { writeResumeTokenScript } from './lua/write-resume-token.ts';
import { summariseOutputs } from './outputs-summary.ts';
import { addPermit, Waker } from './permits.ts';
import { usageText, type JobUsage } from './job-usage.ts';
import { parseTaken, type TakenJob } from './taken-job.ts';

export interface ConsumerOptions {
  readonly eventsPerJob: number;
  readonly eventBytesPerJob: number;
  readonly maxEventBytes: number;
  readonly eventsTtlSeconds: number;
}

/** An idle hand has taken a job that is released long before. */
const IDLE_HAND_MS = 500;

/** A claim that is to be made; ask with the same one when an answer did not come. */
export const createClaimId = (): ClaimId => claimId(randomUUID());

/** Who goes on with a permit after the end of its job, and the claim on the next one. */
export interface NextTaker {
  readonly worker: WorkerId;
  readonly claimId: ClaimId;
  /** What the worker can run, by name; '': what every worker can. */
  readonly profile: string;
}

/** The worker's side of the queue: jobs out, results in. */
export class Consumer {
  readonly #redis: Redis;
  readonly #names: RedisNames;
  readonly #permits: Queue;
  readonly #options: ConsumerOptions;
  readonly #waker: Waker;

  constructor(redis: Redis, names: RedisNames, permits: Queue, options: ConsumerOptions) {
    this.#redis = redis;
    this.#names = names;
    this.#permits = permits;
    this.#options = options;
    this.#waker = new Waker(permits);
  }

  get #prefix(): string {
    return this.#names.prefix;
  }

  /** The plan that a tenant had when it posted last. */
  async readTenantPlan(
    tenant: string,
  ): Promise<{ readonly plan: string | undefined; readonly isUnlimited: boolean }> {
    const key = this.#names.tenant(tenant);
    const [plan, unlimited] = await this.#redis.hmget(key, 'plan', 'unlimited');
    return { plan: plan ?? undefined, isUnlimited: unlimited === '1' };
  }

  /**
   * The job for a permit that has just been delivered; undefined when nothing is waiting (it was
   * deleted, another permit took it, or its concurrency group is busy).
   * @param profile what the worker can run, by name; without it: what every worker can
   */
  async take(
    permit: string,
    worker: WorkerId,
    claim = createClaimId(),
    profile = '',
  ): Promise<TakenJob | undefined> {
    const args = { prefix: this.#prefix, permit, worker, profile, claim };
    let reply = await takeScript.run(this.#redis, args);
    while (reply.other !== undefined) {
      // Its worker, which could run it, has died.
      await this.requeue(reply.other.id, reply.other.claim, { countAttempt: true });
      reply = await takeScript.run(this.#redis, args);
    }
    await this.#waker.wake(reply.wake);
    return parseTaken(reply.job, { permit, claimId: claim });
  }

  /**
   * Ends a job: history, leaving `running`, the end's events, and taking the permit's next job are one
   * step. Asked again with the same arguments, it answers as the first time.
   * @param next undefined: no further job is taken
   * @param usage what it used; undefined counts nothing
   */
  async finish(
    job: TakenJob,
    result: JobResult,
    startedAt: number,
    next: NextTaker | undefined,
    usage?: JobUsage,
  ): Promise<FinishReply> {
    const { count, previewableCount, preview } = summariseOutputs(result.outputs);
    const { terminal } = result;
    const answer = await finishScript.run(this.#redis, {
      prefix: this.#prefix,
      id: job.id,
      permit: job.permit,
      claim: job.claimId,
      outcome: result.outcome,
      started: startedAt,
      ended: terminal.data.timestamp,
      outputs: stringifyJson(result.outputs),
      messages: stringifyJson(result.messages),
      meta: JSON.stringify(result.meta),
      report: JSON.stringify(result.report),
      outputs_count: count,
      previewable_count: previewableCount,
      preview_output: preview === undefined ? '' : stringifyJson(preview),
      failure: terminal.type === 'execution_error' ? stringifyJson(terminal.data) : '',
      terminal_frame: boundedFrame(terminal.type, terminal.data, this.#options.maxEventBytes),
      idle_frame: frameText('executing', { node: null, prompt_id: job.promptId }, JSON.stringify),
      max_batches: this.#options.eventsPerJob,
      max_event_bytes: this.#options.eventBytesPerJob,
      events_ttl_s: this.#options.eventsTtlSeconds,
      worker: next?.worker ?? '',
      profile: next?.profile ?? '',
      next_claim: next?.claimId ?? '',
      usage: usage === undefined ? '' : usageText(usage),
    });
    const { reply, wake } = parseFinish(answer, {
      permit: job.permit,
      claimId: next?.claimId ?? job.claimId,
    });
    await this.#waker.wake(wake);
    return reply;
  }

  addPermit(): Promise<PermitId> {
    return addPermit(this.#permits);
  }

  /** Whether the job is still this claim's: nobody has taken it since, and it is not back in the queue. */
  async holds(job: TakenJob): Promise<boolean> {
    const [state, holder] = await this.#redis.hmget(this.#names.job(job.id), 'state', 'claim');
    return state !== 'pending' && holder === job.claimId;
  }

  /** Notes on the record where the work is done. @returns false when the claim is void */
  saveResumeToken(job: TakenJob, resumeToken: string): Promise<boolean> {
    const { id, claimId: claim } = job;
    return writeResumeTokenScript.run(this.#redis, {
      prefix: this.#prefix,
      id,
      claim,
      resume_token: resumeToken,
    });
  }

  /**
   * Puts a running job back in its place in the queue; the run does not count as an attempt.
   * @param options isPreempted: it was stopped to make room, and what it had begun is gone
   */
  async handBack(job: TakenJob, options: { readonly isPreempted?: boolean } = {}): Promise<void> {
    await this.requeue(job.id, job.claimId, { countAttempt: false, ...options });
  }

  /** What a job needs, when that has been asked, and which profiles of workers have declined it. */
  async readNeeds(job: TakenJob): Promise<ReturnType<typeof parseNeedsOf>> {
    const [needs, declined] = await this.#redis.hmget(
      this.#names.job(job.id),
      ...(['needs', 'declined'] as const),
    );
    return parseNeedsOf(needs, declined);
  }

  /** As `handBack`, by a worker that cannot run the job. @param kind which workers it is for then */
  async decline(job: TakenJob, profile: string, kind: string): Promise<void> {
    const declined = { profile, kind };
    await this.requeue(job.id, job.claimId, { countAttempt: false, declined });
  }

  /**
   * Running jobs that are to be handed back, to make room for jobs of plans that preempt: those chosen now, and those
   * chosen before that still run.
   */
  choosePreempted(): Promise<readonly PreemptedRun[]> {
    return preemptScript.run(this.#redis, { prefix: this.#prefix, waited_ms: IDLE_HAND_MS });
  }

  /**
   * What becomes of a run that was chosen: it is about to be stopped and handed back, and the next one begins anew, also
   * when this worker dies before that; or it goes on, and is not chosen again.
   * @returns false when it is not to make room any more
   */
  answerPreemption(
    { id, claimId }: Pick<TakenJob, 'id' | 'claimId'>,
    answer: 'goes-back' | 'goes-on',
  ): Promise<boolean> {
    const goesOn = answer === 'goes-on' ? 1 : 0;
    const args = { prefix: this.#prefix, id, claim: claimId, goes_on: goesOn };
    return answerPreemptionScript.run(this.#redis, args);
  }

  /** As `handBack`, for a job whose permit is lost. */
  async requeue(
    id: JobId,
    claim: string,
    options: {
      countAttempt: boolean;
      isPreempted?: boolean;
      declined?: { readonly profile: string; readonly kind: string };
    },
  ): Promise<void> {
    const { countAttempt, isPreempted = false, declined } = options;
    const { needsPermit, wake } = await handBackScript.run(this.#redis, {
      prefix: this.#prefix,
      ...{ id, claim },
      counts: countAttempt ? 1 : 0,
      declined: declined?.profile ?? '',
      kind: declined?.kind ?? '',
      preempted: isPreempted ? 1 : 0,
    });
    await this.#waker.addPermits(Number(needsPermit), wake);
  }

  /** Whether a running job was asked to stop. */
  async isCancelled(id: JobId): Promise<boolean> {
    return (await this.#redis.hget(this.#names.job(id), 'cancel')) === '1';
  }
}
