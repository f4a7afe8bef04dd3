import {
  decodeClient,
  frameText,
  permitId,
  promptId,
  stringifyJson,
  type JobResult,
  type PermitId,
  type PromptId,
  type RedisNames,
  type WorkerId,
} from '@tiercel/contracts';
import { LuaScript, type Redis } from '@tiercel/runtime';
import type { Queue } from 'bullmq';
import { FINISH_LUA, HAND_BACK_LUA, TAKE_LUA } from './lua/consume.ts';
import { summariseOutputs } from './outputs-summary.ts';
import { addPermits } from './permits.ts';

/** A job that a worker has taken. `permit` and `attempt` are its claim: a later attempt voids it. */
export interface TakenJob {
  readonly id: PromptId;
  readonly permit: PermitId;
  /** 1 for the first run. */
  readonly attempt: number;
  readonly number: number;
  readonly tenant: string;
  readonly clientId: string | undefined;
  readonly promptText: string;
  readonly extraText: string;
  readonly outputIds: readonly string[];
  readonly createdAt: number;
  /** True when it was interrupted under an earlier worker that died before it could stop. */
  readonly cancelled: boolean;
  readonly sealedSecrets: string | undefined;
}

export interface FinishReply {
  readonly ours: boolean;
  readonly unlocked: boolean;
}

export interface ConsumerOptions {
  readonly historyMaxItems: number;
  readonly eventsPerJob: number;
  readonly eventsTtlSeconds: number;
}

const takeScript = new LuaScript(TAKE_LUA);
const finishScript = new LuaScript(FINISH_LUA);
const handBackScript = new LuaScript(HAND_BACK_LUA);

/** The worker's side of the queue: jobs out, results in. */
export class Consumer {
  readonly #redis: Redis;
  readonly #names: RedisNames;
  readonly #permits: Queue;
  readonly #options: ConsumerOptions;

  constructor(redis: Redis, names: RedisNames, permits: Queue, options: ConsumerOptions) {
    this.#redis = redis;
    this.#names = names;
    this.#permits = permits;
    this.#options = options;
  }

  /**
   * The job for a permit that has just been delivered; undefined when nothing is waiting (it was
   * deleted, another permit took it, or its lane is busy).
   */
  take(permit: string, worker: WorkerId): Promise<TakenJob | undefined> {
    return this.#take(permit, worker, false);
  }

  /** Another job for a permit whose job has ended; undefined also when the permit is no longer ours. */
  takeAnother(permit: string, worker: WorkerId): Promise<TakenJob | undefined> {
    return this.#take(permit, worker, true);
  }

  async #take(permit: string, worker: WorkerId, again: boolean): Promise<TakenJob | undefined> {
    const reply = (await takeScript.run(this.#redis, this.#names.prefix, [
      permit,
      worker,
      Date.now(),
      again ? 1 : 0,
    ])) as (string | null)[] | null;
    if (reply === null) return undefined;
    const [id, prompt, extra, targets, client, number, tenant, created, attempt, cancel, secrets] =
      reply;
    return {
      id: promptId(id ?? ''),
      permit: permitId(permit),
      attempt: Number(attempt),
      number: Number(number),
      tenant: tenant ?? '',
      clientId: decodeClient(client ?? 'n'),
      promptText: prompt ?? '{}',
      extraText: extra ?? '{}',
      outputIds: JSON.parse(targets ?? '[]') as string[],
      createdAt: Number(created),
      cancelled: cancel === '1',
      sealedSecrets: secrets ?? undefined,
    };
  }

  /**
   * Ends a job: history, leaving `running` and the announcement are one step.
   * @returns `ours` is false when the claim is void: another worker has the job, or it has ended
   *          already. `unlocked`: the next job of the same client became ready; whoever does not go on to
   *          take another job must add a permit for it.
   */
  async finish(job: TakenJob, result: JobResult, startedAt: number): Promise<FinishReply> {
    const { count, preview } = summariseOutputs(result.outputs);
    const { terminal } = result;
    const [ours, unlocked] = (await finishScript.run(this.#redis, this.#names.prefix, [
      job.id,
      job.permit,
      job.attempt,
      terminal.data.timestamp,
      result.outcome,
      startedAt,
      stringifyJson(result.outputs),
      stringifyJson(result.messages),
      JSON.stringify(result.meta),
      JSON.stringify(result.report),
      count,
      preview === undefined ? '' : stringifyJson(preview),
      terminal.type === 'execution_error' ? stringifyJson(terminal.data) : '',
      frameText(terminal.type, terminal.data, stringifyJson),
      frameText('executing', { node: null, prompt_id: job.id }, JSON.stringify),
      this.#options.historyMaxItems,
      this.#options.eventsPerJob,
      this.#options.eventsTtlSeconds,
    ])) as [number, number?];
    return { ours: ours === 1, unlocked: unlocked === 1 };
  }

  async addPermit(): Promise<void> {
    await addPermits(this.#permits, 1);
  }

  /** Puts a running job back in its place in the queue; the run does not count as an attempt. */
  async handBack(job: TakenJob): Promise<void> {
    await this.requeue(job.id, job.permit, job.attempt, { countAttempt: false });
  }

  /** As `handBack`, for a job whose permit is lost. */
  async requeue(
    id: PromptId,
    permit: string,
    attempt: number,
    options: { countAttempt: boolean },
  ): Promise<void> {
    const needsPermit = await handBackScript.run(this.#redis, this.#names.prefix, [
      id,
      permit,
      attempt,
      options.countAttempt ? 1 : 0,
    ]);
    if (needsPermit === 1) await this.addPermit();
  }

  /** Whether a running job was asked to stop. */
  async isCancelled(id: PromptId): Promise<boolean> {
    return (await this.#redis.hget(this.#names.job(id), 'cancel')) === '1';
  }
}
