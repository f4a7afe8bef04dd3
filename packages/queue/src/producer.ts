import { randomUUID } from 'node:crypto';
import {
  DEFAULT_TENANT,
  encodeClient,
  jobIdOf,
  type JobId,
  type Priority,
  promptId,
  type PromptId,
  type RedisNames,
} from '@tiercel/contracts';
import type { Redis } from '@tiercel/runtime';
import type { Queue } from 'bullmq';
import { describeRefusal, idConflict, reusedKey } from './refusals.ts';
import { enqueueScript } from './lua/enqueue.ts';
import { putLimitsScript } from './lua/put-limits.ts';
import { releaseScript } from './lua/release.ts';
import { MAX_WAITING_PERMITS, Waker } from './permits.ts';
import { limitsText, type TenantLimits } from './tenant-limits.ts';

/** A validated prompt on its way into the queue. Texts are JSON as the caller wrote it. */
export interface NewJob {
  readonly id: PromptId;
  /** SHA-256 of the request body: the same id with another body is refused. */
  readonly bodyHash: string;
  /** Undefined: the server counts. */
  readonly number: number | undefined;
  readonly front: boolean;
  readonly clientId: string | undefined;
  readonly promptText: string | Buffer;
  /** extra_data with client_id, without secrets. */
  readonly extraText: string | Buffer;
  readonly outputIds: readonly string[];
  /** JSON text of the node_errors of a partly valid prompt. */
  readonly nodeErrorsText: string;
  readonly workflowId: string | undefined;
  /** Sealed by sealSecrets; undefined when the prompt brought none. */
  readonly secrets: string | undefined;
  /** Whose job it is, and what it may; without it: DEFAULT_TENANT's, not limited. Without limits: not limited. */
  readonly tenant?: { readonly id: string; readonly limits?: TenantLimits | undefined };
  /** What its tenant may post; without it: nothing is limited. */
  readonly admission?: AdmissionLimits;
  /** Stands for the caller and its Idempotency-Key: see `replayKey`. */
  readonly replayKey?: string;
  /** Among the jobs of its tenant; without it: normal. */
  readonly priority?: Priority;
  /** What it is likely to cost; without a tenant nobody asks. */
  readonly cost?: ExpectedCost;
  /** Without it: all workers are alike. */
  readonly verdict?: Verdict | undefined;
  /** Where to tell of it, besides the webhooks of the tenant. */
  readonly webhook?: JobWebhook | undefined;
}

/** What a plan lets its tenants post. Undefined: no limit. */
interface AdmissionLimits {
  /** Its name, for the words of a refusal. */
  readonly plan: string;
  readonly maxPending: number | undefined;
  readonly jobsPerDay: number | undefined;
  /** Shortest time between two starts, in ms: so long one more place takes at least. */
  readonly intervalMs: number | undefined;
  /** Undefined: it has no budget, or the job may be free. */
  readonly budget?: JobBudget | undefined;
}

/** What a job would cost, and what its tenant may spend; in millionths. */
interface JobBudget {
  /** On the tier where it would cost least. */
  readonly leastMicros: number;
  readonly dayMicros: number | undefined;
  readonly monthMicros: number | undefined;
}

/** Which workers a job is for. */
export interface Verdict {
  /** As `lua/includes/kinds.lua` has it. */
  readonly kind: string;
  /** What it was judged by, JSON. */
  readonly needs: string;
  /** The workers that it was judged for. */
  readonly fleet: string;
}

export interface ExpectedCost {
  /** Jobs with the same one take about the same time. */
  readonly signature: string;
  /** Run time in ms, for when none with this signature has run. */
  readonly estimateMs: number;
}

export interface WaitingTenant {
  readonly id: string;
  readonly plan: string | undefined;
  readonly isUnlimited: boolean;
}

/** A job's own webhook, as its record keeps it. */
interface JobWebhook {
  /** Address and secret, sealed. */
  readonly sealed: string;
  /** What it is told, in the form of note-webhook.lua. */
  readonly events: string;
}

export interface Accepted {
  readonly id: PromptId;
  readonly number: number;
  readonly nodeErrorsText: string;
  /** True when this id was accepted before with the same body: nothing was added. */
  readonly repeated: boolean;
}

export interface ProducerOptions {
  readonly maxPending: number;
  /** Of all pending jobs together. */
  readonly maxPendingBytes: number;
  readonly perClient: 'serial' | 'parallel';
}

/** The API's side of the queue: prompts in. */
export class Producer {
  readonly #redis: Redis;
  readonly #names: RedisNames;
  readonly #options: ProducerOptions;
  #toRelease: JobId[] = [];
  #nextRelease: Promise<void> | undefined;
  #lastRelease: Promise<void> = Promise.resolve();
  readonly #waker: Waker;

  constructor(redis: Redis, names: RedisNames, permits: Queue, options: ProducerOptions) {
    this.#redis = redis;
    this.#names = names;
    this.#options = options;
    this.#waker = new Waker(permits);
  }

  /**
   * What an earlier POST of the tenant with this id and body was answered.
   * @returns undefined when the id is new
   * @throws AppError prompt_id_conflict when the body was another one
   */
  async findAccepted(
    id: PromptId,
    bodyHash: string,
    tenant = DEFAULT_TENANT,
  ): Promise<Accepted | undefined> {
    const [hash, number, nodeErrors] = await this.#redis.hmget(
      this.#names.job(jobIdOf(tenant, id)),
      'hash',
      'number',
      'node_errors',
    );
    if (hash === null || hash === undefined) return undefined;
    if (hash !== bodyHash) throw idConflict(id);
    return { id, number: Number(number), nodeErrorsText: nodeErrors ?? '{}', repeated: true };
  }

  /**
   * Writes the record of a job and puts it among the pending, atomically. Nobody runs it before
   * `release`.
   * @throws AppError queue_full, prompt_id_conflict
   */
  async enqueue(job: NewJob): Promise<Accepted> {
    const { id: tenant = DEFAULT_TENANT, limits } = job.tenant ?? {};
    const cost = limits === undefined ? undefined : job.cost;
    const reply = await enqueueScript.run(this.#redis, {
      prefix: this.#names.prefix,
      call: randomUUID(),
      id: jobIdOf(tenant, job.id),
      body_hash: job.bodyHash,
      given_number: job.number ?? '',
      front: job.front ? 1 : 0,
      tenant,
      client: encodeClient(tenant, job.clientId),
      serial: this.#options.perClient === 'serial' ? 1 : 0,
      max_pending: this.#options.maxPending,
      max_bytes: this.#options.maxPendingBytes,
      workflow: job.workflowId ?? '',
      prompt: job.promptText,
      extra: job.extraText,
      targets: JSON.stringify(job.outputIds),
      node_errors: job.nodeErrorsText,
      secrets: job.secrets ?? '',
      limits: limits === undefined ? '' : limitsText(limits),
      signature: cost?.signature ?? '',
      estimate_ms: cost?.estimateMs ?? '',
      priority: job.priority ?? 'normal',
      hook: job.webhook?.sealed ?? '',
      hook_events: job.webhook?.events ?? '',
      replay: job.replayKey ?? '',
      most_pending: job.admission?.maxPending ?? '',
      most_a_day: job.admission?.jobsPerDay ?? '',
      least_cost: job.admission?.budget?.leastMicros ?? '',
      day_budget: job.admission?.budget?.dayMicros ?? '',
      month_budget: job.admission?.budget?.monthMicros ?? '',
      kind: job.verdict?.kind ?? '',
      needs: job.verdict?.needs ?? '',
      fleet: job.verdict?.fleet ?? '',
    });
    const { id, nodeErrorsText } = job;
    switch (reply.kind) {
      case 'ok':
        return { id, number: reply.number, nodeErrorsText, repeated: false };
      case 'same':
        return toRepeated(id, reply);
      case 'replay':
        return toRepeated(promptId(reply.id), reply);
      default:
        throw describeRefusal(reply, job, this.#options, await this.#countWaiting(job));
    }
  }

  /** Jobs of the tenant that wait; only for those who are told. */
  async #countWaiting({ tenant, admission }: NewJob): Promise<number> {
    if (tenant === undefined || admission === undefined) return 0;
    return await this.#redis.zcard(this.#names.ofTenant(this.#names.pending, tenant.id));
  }

  /**
   * What an earlier POST with this Idempotency-Key was answered.
   * @returns undefined when the key is new
   * @throws AppError idempotency_key_reused
   */
  async findReplay(key: string, bodyHash: string): Promise<Accepted | undefined> {
    const text = await this.#redis.get(this.#names.replay(key));
    if (text === null) return undefined;
    // As replays.lua writes it.
    const kept = JSON.parse(text) as Record<'hash' | 'id' | 'number' | 'node_errors', string>;
    if (kept.hash !== bodyHash) throw reusedKey();
    const { id, number, node_errors: nodeErrorsText } = kept;
    return { id: promptId(id), number: Number(number), nodeErrorsText, repeated: true };
  }

  /**
   * Lets a job be taken, once its answer is on its way to the caller. Should the process die before
   * this, the sweeper does it: an accepted job is never stuck. One step at a time: what comes meanwhile
   * is released together in the next, which then sees how many permits wait already.
   */
  async release(id: PromptId, tenant = DEFAULT_TENANT): Promise<void> {
    await this.releaseJob(jobIdOf(tenant, id));
  }

  /** As `release`. */
  async releaseJob(id: JobId): Promise<void> {
    this.#toRelease.push(id);
    this.#nextRelease ??= this.#lastRelease.then(() => {
      const ids = this.#toRelease;
      this.#toRelease = [];
      this.#nextRelease = undefined;
      const released = this.#release(ids);
      this.#lastRelease = released.catch(() => undefined);
      return released;
    });
    await this.#nextRelease;
  }

  async #release(ids: readonly JobId[]): Promise<void> {
    const { permits, wake } = await releaseScript.run(this.#redis, {
      prefix: this.#names.prefix,
      max_waiting: MAX_WAITING_PERMITS,
      ids,
    });
    await this.#waker.addPermits(permits, wake);
  }

  /** Tenants with jobs that wait, and what their limits come from. */
  async listWaitingTenants(): Promise<WaitingTenant[]> {
    const sets = await Promise.all(
      this.#names.waitingTenants.map((set) => this.#redis.zrange(set, 0, '-1')),
    );
    const elsewhere = await this.#redis.smembers(this.#names.elsewhere);
    const ids = [...new Set([...sets.flat(), ...elsewhere])];
    const records = await Promise.all(
      ids.map((id) => this.#redis.hmget(this.#names.tenant(id), 'weight', 'plan', 'unlimited')),
    );
    return ids.flatMap((id, index) => {
      const [weight, plan, unlimited] = records[index] ?? [];
      // One without a record is not limited.
      if (typeof weight !== 'string') return [];
      return [{ id, plan: plan ?? undefined, isUnlimited: unlimited === '1' }];
    });
  }

  /** Run time in ms that a job is expected to take. */
  async expectCostMs({ signature, estimateMs }: ExpectedCost): Promise<number> {
    const learnt = await this.#redis.hget(this.#names.costs, signature);
    return learnt === null ? estimateMs : Number(learnt);
  }

  /** Changes what a tenant may, at once and for what waits already too. */
  async putLimits(tenant: string, limits: TenantLimits): Promise<void> {
    const { prefix } = this.#names;
    const wake = await putLimitsScript.run(this.#redis, {
      ...{ prefix, tenant },
      limits: limitsText(limits),
    });
    await this.#waker.wake(wake);
  }

  /**
   * A rejected prompt uses up a number too, as in ComfyUI (wire 6.3). When the reply is lost it may use up
   * two: numbers only say who came first.
   */
  async skipNumber(tenant = DEFAULT_TENANT): Promise<void> {
    await this.#redis.incr(this.#names.ofTenant(this.#names.number, tenant));
  }
}

function toRepeated(id: PromptId, reply: Pick<Accepted, 'number' | 'nodeErrorsText'>): Accepted {
  return { id, number: reply.number, nodeErrorsText: reply.nodeErrorsText, repeated: true };
}
