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
import { FINISH_LUA, HAND_BACK_LUA, REMEMBER_LUA, TAKE_LUA } from './lua/consume.ts';
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
  /** What an earlier attempt noted with `remember`. */
  readonly note: string | undefined;
}

export interface FinishReply {
  /** False when the claim is void: another worker has the job, or it has ended already. */
  readonly ours: boolean;
  /**
   * The next job of the same client became ready. Who takes no further job must add a permit for it.
   */
  readonly unlocked: boolean;
  /** The permit's next job; undefined when nothing is ready, or the permit is no longer ours. */
  readonly next: TakenJob | undefined;
}

export interface ConsumerOptions {
  readonly eventsPerJob: number;
  readonly eventsTtlSeconds: number;
}

const takeScript = new LuaScript(TAKE_LUA);
const finishScript = new LuaScript(FINISH_LUA);
const handBackScript = new LuaScript(HAND_BACK_LUA);
const rememberScript = new LuaScript(REMEMBER_LUA);

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
  async take(permit: string, worker: WorkerId): Promise<TakenJob | undefined> {
    const reply = await takeScript.run(this.#redis, this.#names.prefix, [
      permit,
      worker,
      Date.now(),
    ]);
    return readTaken(reply, permit);
  }

  /**
   * Ends a job: history, leaving `running`, the announcement, and taking the permit's next job are one
   * step.
   * @param next the worker that goes on with the same permit; undefined: no further job is taken
   */
  async finish(
    job: TakenJob,
    result: JobResult,
    startedAt: number,
    next: WorkerId | undefined,
  ): Promise<FinishReply> {
    const { count, preview } = summariseOutputs(result.outputs);
    const { terminal } = result;
    const [ours, unlocked, taken] = (await finishScript.run(this.#redis, this.#names.prefix, [
      job.id,
      job.permit,
      job.attempt,
      Date.now(),
      result.outcome,
      startedAt,
      terminal.data.timestamp,
      stringifyJson(result.outputs),
      stringifyJson(result.messages),
      JSON.stringify(result.meta),
      JSON.stringify(result.report),
      count,
      preview === undefined ? '' : stringifyJson(preview),
      terminal.type === 'execution_error' ? stringifyJson(terminal.data) : '',
      frameText(terminal.type, terminal.data, stringifyJson),
      frameText('executing', { node: null, prompt_id: job.id }, JSON.stringify),
      this.#options.eventsPerJob,
      this.#options.eventsTtlSeconds,
      next ?? '',
      next === undefined ? 0 : 1,
    ])) as [number, number?, unknown?];
    return {
      ours: ours === 1,
      unlocked: unlocked === 1,
      next: readTaken(taken, job.permit),
    };
  }

  async addPermit(): Promise<void> {
    await addPermits(this.#permits, 1);
  }

  /** Notes on the record where the work is done; a void claim is passed over. */
  async remember(job: TakenJob, note: string): Promise<void> {
    await rememberScript.run(this.#redis, this.#names.prefix, [
      job.id,
      job.permit,
      job.attempt,
      note,
    ]);
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

function readTaken(reply: unknown, permit: string): TakenJob | undefined {
  if (!Array.isArray(reply)) return undefined;
  const [
    id,
    prompt,
    extra,
    targets,
    client,
    number,
    tenant,
    created,
    attempt,
    cancel,
    secrets,
    note,
  ] = reply as (string | number | null | undefined)[];
  const text = (value: unknown, fallback: string) => (typeof value === 'string' ? value : fallback);
  return {
    id: promptId(text(id, '')),
    permit: permitId(permit),
    attempt: Number(attempt),
    number: Number(number),
    tenant: text(tenant, ''),
    clientId: decodeClient(text(client, 'n')),
    promptText: text(prompt, '{}'),
    extraText: text(extra, '{}'),
    outputIds: JSON.parse(text(targets, '[]')) as string[],
    createdAt: Number(created),
    cancelled: cancel === '1',
    sealedSecrets: text(secrets, '') === '' ? undefined : text(secrets, ''),
    note: typeof note === 'string' ? note : undefined,
  };
}
