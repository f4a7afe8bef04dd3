import {
  decodeClient,
  DEFAULT_TENANT,
  encodeClient,
  jobIdOf,
  promptIdOf,
  scoped,
  unscoped,
  type JobId,
  type JobState,
  type RedisNames,
} from '@tiercel/contracts';
import type { Redis } from '@tiercel/runtime';
import {
  END_FIELDS,
  RECORD_FIELDS,
  toEnd,
  toRecord,
  toView,
  VIEW_FIELDS,
  type EndedJob,
  type JobRecord,
  type JobView,
} from './job-record.ts';
import { pageScript } from './lua/page.ts';
import { readTurnAgeScript } from './lua/read-turn-age.ts';
import { recordsScript } from './lua/records.ts';

export interface JobsPageQuery {
  readonly states: readonly JobState[];
  readonly sortBy: 'created' | 'duration';
  readonly descending: boolean;
  readonly offset: number;
  readonly limit: number;
}

/** A running job and whose it is. */
export interface RunningJob {
  readonly tenant: string;
  /** What its caller knows it by. */
  readonly id: string;
  /** Undefined when the prompt named none. */
  readonly clientId: string | undefined;
}

/** Records fetched in one round trip, and about their bytes: what one answer holds in memory at a time. */
const CHUNK = 200;
const CHUNK_BYTES = 4 * 1024 * 1024;
/** Tenants that are looked at to tell how long one waits for its turn. */
const NEXT_TENANTS = 16;

const idOfMember = (member: string): string => callersId(member.slice(17));
/** As enqueue.lua names it. */
const groupOf = (tenant: string, clientId: string): string =>
  `${tenant}\n${encodeClient(tenant, clientId).slice(1)}`;
/** @param id as Redis has it */
const callersId = (id: string): string => promptIdOf(id as JobId);

/**
 * Queue and history as the callers of one tenant see them: jobs of others are as ones that do not exist. A page costs
 * what the page costs.
 */
export class Reader {
  readonly #redis: Redis;
  readonly #names: RedisNames;
  readonly #tenant: string;

  constructor(redis: Redis, names: RedisNames, tenant = DEFAULT_TENANT) {
    this.#redis = redis;
    this.#names = names;
    this.#tenant = tenant;
  }

  /** The same for another tenant's jobs. */
  of(tenant: string): Reader {
    return tenant === this.#tenant ? this : new Reader(this.#redis, this.#names, tenant);
  }

  #own(set: string): string {
    return this.#names.ofTenant(set, this.#tenant);
  }

  #jobKey(id: string): string {
    return this.#names.job(jobIdOf(this.#tenant, id));
  }

  /** Pending plus running: ComfyUI's queue_remaining. */
  async countRemaining(): Promise<number> {
    const { pending, running } = await this.countQueue();
    return pending + running;
  }

  async countQueue(): Promise<{ pending: number; running: number }> {
    const replies = await this.#redis
      .multi()
      .zcard(this.#own(this.#names.pending))
      .zcard(this.#own(this.#names.running))
      .exec();
    const [pending, running] = (replies ?? []).map(([, count]) => Number(count));
    return { pending: pending ?? 0, running: running ?? 0 };
  }

  /** As countQueue, of all tenants together: for operators. */
  async countWholeQueue(): Promise<{ pending: number; running: number }> {
    const count = async (set: string): Promise<number> => {
      const parts = await Promise.all(this.#names.ofAll(set).map((key) => this.#redis.zcard(key)));
      return parts.reduce((sum, part) => sum + part, 0);
    };
    const [pending, running] = await Promise.all([
      count(this.#names.pending),
      count(this.#names.running),
    ]);
    return { pending, running };
  }

  /** Since when the job of any tenant waits that has waited longest, and what time it is, both by Redis' clock in ms. */
  async readOldestPending(): Promise<{ readonly sinceMs: number; readonly nowMs: number }> {
    const sets = this.#names.ofAll(this.#names.byState('created', 'pending'));
    const [[seconds, micros], ...firsts] = await Promise.all([
      this.#redis.time(),
      ...sets.map((set) => this.#redis.zrange(set, 0, '0', 'WITHSCORES')),
    ]);
    const nowMs = Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000);
    const sinces = firsts.flatMap(([, since]) => (since === undefined ? [] : [Number(since)]));
    return { nowMs, sinceMs: Math.min(nowMs, ...sinces) };
  }

  /**
   * How long the tenants whose turn is next have waited for it, in ms: how far capacity falls short. A tenant that is at a
   * limit of its own, or one of whose jobs runs, does not wait.
   */
  async readTurnAgeMs(): Promise<number> {
    const { prefix } = this.#names;
    return await readTurnAgeScript.run(this.#redis, { prefix, most: NEXT_TENANTS });
  }

  /** What callers sent with all pending jobs. */
  async readPendingBytes(): Promise<number> {
    return Number((await this.#redis.get(this.#names.pendingBytes)) ?? 0);
  }

  /**
   * Ids of everything in the queue, at one moment: a job on its way from pending to running (or back)
   * is in exactly one of the lists. Running jobs in the order they were taken, pending ones in the order
   * they will be.
   */
  async listQueueIds(): Promise<{ running: string[]; pending: string[] }> {
    const replies = await this.#redis
      .multi()
      .zrange(this.#own(this.#names.running), 0, '-1')
      .zrange(this.#own(this.#names.pending), 0, '-1')
      .exec();
    const [running, pending] = (replies ?? []).map(([, members]) => members as string[]);
    return { running: (running ?? []).map(callersId), pending: (pending ?? []).map(idOfMember) };
  }

  /**
   * Ids of ended jobs, oldest first, with ComfyUI's paging (wire 7.4): `maxItems` alone means the
   * last so many; with an offset, up to so many after it.
   */
  async listHistoryIds(query: { maxItems?: number; offset?: number }): Promise<string[]> {
    const { maxItems, offset } = query;
    if (maxItems !== undefined && maxItems <= 0) return [];
    const key = this.#own(this.#names.history);
    const members =
      offset === undefined || offset < 0
        ? await this.#redis.zrange(key, maxItems === undefined ? 0 : -maxItems, '-1')
        : await this.#redis.zrange(
            key,
            offset,
            String(maxItems === undefined ? -1 : offset + maxItems - 1),
          );
    return members.map(idOfMember);
  }

  /** One page of GET /api/jobs. `total` counts all that match. */
  async listJobIds(query: JobsPageQuery): Promise<{ ids: string[]; total: number }> {
    const { states, sortBy, descending } = query;
    if (sortBy === 'created') return await this.#page(states, 'created', query);
    // What has not ended has no duration: it sorts as 0, below everything that has one.
    const ended = states.filter((state) => state !== 'pending' && state !== 'running');
    const open = states.filter((state) => state === 'pending' || state === 'running');
    const parts = [
      { states: ended, set: 'duration' },
      { states: open, set: 'created' },
    ] as const;
    let { offset, limit } = query;
    const page = { ids: [] as string[], total: 0 };
    for (const part of descending ? parts : [...parts].reverse()) {
      const found = await this.#page(part.states, part.set, { descending, offset, limit });
      page.ids.push(...found.ids);
      page.total += found.total;
      offset = Math.max(0, offset - found.total);
      limit -= found.ids.length;
    }
    return page;
  }

  /** One page of what waits and runs, of all tenants, in the order of arrival; for operators. */
  async readWholeQueue(range: {
    offset: number;
    limit: number;
  }): Promise<{ jobs: JobView[]; total: number }> {
    const { total, members } = await pageScript.run(this.#redis, {
      ...{ order: 'asc', first: range.offset, most: range.limit },
      sets: (['pending', 'running'] as const).flatMap((state) =>
        this.#names.ofAll(this.#names.byState('created', state)),
      ),
    });
    const ids = members.map((member) => member.slice(17));
    const jobs: JobView[] = [];
    for await (const page of this.#records(ids, VIEW_FIELDS)) jobs.push(...page.map(toView));
    return { jobs, total };
  }

  /** Tenants that have a job of this id, of those that wait, run or have history; for operators. */
  async findTenants(id: string): Promise<string[]> {
    const { waitingTenants, historySizes } = this.#names;
    const [running, known, ...waiting] = await Promise.all([
      this.listAllRunning(),
      this.#redis.zrange(historySizes, 0, '-1'),
      ...waitingTenants.map((set) => this.#redis.zrange(set, 0, '-1')),
    ]);
    const tenants = [
      ...new Set([
        ...[DEFAULT_TENANT, ...running.map(({ tenant }) => tenant)],
        ...[...known, ...waiting.flat()],
      ]),
    ];
    const found = await Promise.all(
      tenants.map((tenant) => this.#redis.exists(this.#names.job(jobIdOf(tenant, id)))),
    );
    return tenants.filter((_, index) => found[index] === 1);
  }

  async #page(
    states: readonly JobState[],
    set: 'created' | 'duration',
    range: { descending: boolean; offset: number; limit: number },
  ): Promise<{ ids: string[]; total: number }> {
    if (states.length === 0) return { ids: [], total: 0 };
    const { total, members } = await pageScript.run(this.#redis, {
      order: range.descending ? 'desc' : 'asc',
      first: range.offset,
      most: range.limit,
      sets: states.map((state) => this.#own(this.#names.byState(set, state))),
    });
    return { ids: members.map(idOfMember), total };
  }

  /** All jobs of one workflow, newest last; costs what the workflow has. */
  async listWorkflowIds(workflowId: string): Promise<string[]> {
    const members = await this.#redis.zrange(
      this.#names.workflow(scoped(this.#tenant, workflowId)),
      0,
      '-1',
    );
    return members.map(idOfMember);
  }

  /** Of all jobs of one workflow: what they are sorted and chosen by. */
  async readWorkflow(workflowId: string): Promise<JobView[]> {
    const jobs: JobView[] = [];
    for await (const page of this.streamViews(await this.listWorkflowIds(workflowId))) {
      // Without what may be long: a workflow may have thousands of jobs.
      jobs.push(
        ...page.map((job) => ({ ...job, errorText: undefined, previewOutputText: undefined })),
      );
    }
    return jobs;
  }

  /** Undefined for a job that is not known. */
  async readState(id: string): Promise<JobState | undefined> {
    const state = await this.#redis.hget(this.#jobKey(id), 'state');
    return state === null ? undefined : (state as JobState);
  }

  async readRecord(id: string): Promise<JobRecord | undefined> {
    for await (const [job] of this.streamRecords([id])) return job;
    return undefined;
  }

  /**
   * Records in the order of the ids, as many at a time as memory takes lightly; ids without a record are
   * left out.
   */
  async *streamRecords(ids: readonly string[]): AsyncGenerator<JobRecord[]> {
    for await (const page of this.#pages(ids, RECORD_FIELDS)) yield page.map(toRecord);
  }

  /** As streamRecords, without the prompts. */
  async *streamViews(ids: readonly string[]): AsyncGenerator<JobView[]> {
    for await (const page of this.#pages(ids, VIEW_FIELDS)) yield page.map(toView);
  }

  /** As streamRecords: how jobs ended. */
  async *streamEnds(ids: readonly string[]): AsyncGenerator<EndedJob[]> {
    for await (const page of this.#pages(ids, END_FIELDS)) yield page.flatMap(toEnd);
  }

  /**
   * The first waiting jobs of a client's concurrency group, in the order in which they will be taken; none where jobs of
   * one client run at the same time.
   * @returns ids
   */
  async listGroup(clientId: string, most: number): Promise<string[]> {
    const group = this.#names.group(groupOf(this.#tenant, clientId));
    return (await this.#redis.zrange(group, 0, String(most - 1))).map(idOfMember);
  }

  /** The first waiting jobs, in the order in which they will be taken, and whose they are. */
  async listWaiting(
    most: number,
  ): Promise<{ readonly id: string; readonly clientId: string | undefined }[]> {
    const members = await this.#redis.zrange(this.#own(this.#names.pending), 0, String(most - 1));
    const ids = members.map((member) => member.slice(17));
    const waiting: { id: string; clientId: string | undefined }[] = [];
    for await (const page of this.#records(ids, ['id', 'client', 'state'])) {
      for (const { id, client = 'n', state } of page) {
        if (id === undefined || state !== 'pending') continue;
        waiting.push({ id: callersId(id), clientId: decodeClient(client) });
      }
    }
    return waiting;
  }

  /** What runs now. */
  async listRunning(): Promise<RunningJob[]> {
    return await this.#listRunning([this.#own(this.#names.running)]);
  }

  /** As listRunning, of all tenants. */
  async listAllRunning(): Promise<RunningJob[]> {
    return await this.#listRunning(this.#names.ofAll(this.#names.running));
  }

  async #listRunning(sets: readonly string[]): Promise<RunningJob[]> {
    const ids: string[] = [];
    for (const set of sets) ids.push(...(await this.#redis.zrange(set, 0, '-1')));
    const running: RunningJob[] = [];
    for await (const page of this.#records(ids, ['id', 'client', 'state'])) {
      for (const { id, client = 'n', state } of page) {
        if (id === undefined || state !== 'running') continue;
        const { tenant, text } = unscoped(id);
        running.push({ tenant, id: text, clientId: decodeClient(client) });
      }
    }
    return running;
  }

  #pages<F extends string>(
    ids: readonly string[],
    fields: readonly F[],
  ): AsyncGenerator<Record<F, string | undefined>[]> {
    return this.#records(
      ids.map((id) => jobIdOf(this.#tenant, id)),
      fields,
    );
  }

  /** @param ids as Redis has them */
  async *#records<F extends string>(
    ids: readonly string[],
    fields: readonly F[],
  ): AsyncGenerator<Record<F, string | undefined>[]> {
    for (let at = 0; at < ids.length;) {
      const { count, values } = await recordsScript.run(this.#redis, {
        prefix: this.#names.prefix,
        max_bytes: CHUNK_BYTES,
        fields_count: fields.length,
        names: [...fields, ...ids.slice(at, at + CHUNK)],
      });
      const page: Record<F, string | undefined>[] = [];
      for (let row = 0; row < count; row += 1) {
        const own = values.slice(row * fields.length, (row + 1) * fields.length);
        if (own[0] === null) continue; // the id: there is no record
        const entries = fields.map((field, index) => [field, own[index] ?? undefined] as const);
        page.push(Object.fromEntries(entries) as Record<F, string | undefined>);
      }
      if (page.length > 0) yield page;
      at += count;
    }
  }
}
