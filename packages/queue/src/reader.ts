import type { JobState, RedisNames } from '@tiercel/contracts';
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
import { recordsScript } from './lua/records.ts';

export interface JobsPageQuery {
  readonly states: readonly JobState[];
  readonly sortBy: 'created' | 'duration';
  readonly descending: boolean;
  readonly offset: number;
  readonly limit: number;
}

/** A running job and whose it is, as encodeClient writes it. */
export interface RunningJob {
  readonly id: string;
  readonly clientField: string;
}

/** Records fetched in one round trip, and about their bytes: what one answer holds in memory at a time. */
const CHUNK = 200;
const CHUNK_BYTES = 4 * 1024 * 1024;

const idOfMember = (member: string): string => member.slice(17);

/** Queue and history as callers see them. A page costs what the page costs. */
export class Reader {
  readonly #redis: Redis;
  readonly #names: RedisNames;

  constructor(redis: Redis, names: RedisNames) {
    this.#redis = redis;
    this.#names = names;
  }

  /** Pending plus running: ComfyUI's queue_remaining. */
  async countRemaining(): Promise<number> {
    const { pending, running } = await this.countQueue();
    return pending + running;
  }

  async countQueue(): Promise<{ pending: number; running: number }> {
    const replies = await this.#redis
      .multi()
      .zcard(this.#names.pending)
      .zcard(this.#names.running)
      .exec();
    const [pending, running] = (replies ?? []).map(([, count]) => Number(count));
    return { pending: pending ?? 0, running: running ?? 0 };
  }

  /** Since when the job waits that has waited longest, and what time it is, both by Redis' clock in ms. */
  async readOldestPending(): Promise<{ readonly sinceMs: number; readonly nowMs: number }> {
    const set = this.#names.byState('created', 'pending');
    const [first, [seconds, micros]] = await Promise.all([
      this.#redis.zrange(set, 0, '0', 'WITHSCORES'),
      this.#redis.time(),
    ]);
    const nowMs = Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000);
    return { nowMs, sinceMs: first[1] === undefined ? nowMs : Number(first[1]) };
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
      .zrange(this.#names.running, 0, '-1')
      .zrange(this.#names.pending, 0, '-1')
      .exec();
    const [running, pending] = (replies ?? []).map(([, members]) => members as string[]);
    return { running: running ?? [], pending: (pending ?? []).map(idOfMember) };
  }

  /**
   * Ids of ended jobs, oldest first, with ComfyUI's paging (wire 7.4): `maxItems` alone means the
   * last so many; with an offset, up to so many after it.
   */
  async listHistoryIds(query: { maxItems?: number; offset?: number }): Promise<string[]> {
    const { maxItems, offset } = query;
    if (maxItems !== undefined && maxItems <= 0) return [];
    const key = this.#names.history;
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
      sets: states.map((state) => this.#names.byState(set, state)),
    });
    return { ids: members.map(idOfMember), total };
  }

  /** All jobs of one workflow, newest last; costs what the workflow has. */
  async listWorkflowIds(workflowId: string): Promise<string[]> {
    const members = await this.#redis.zrange(this.#names.workflow(workflowId), 0, '-1');
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
    const state = await this.#redis.hget(this.#names.job(id), 'state');
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

  async listRunning(): Promise<RunningJob[]> {
    const ids = await this.#redis.zrange(this.#names.running, 0, '-1');
    const running: RunningJob[] = [];
    for await (const page of this.#pages(ids, ['id', 'client', 'state'])) {
      for (const { id, client, state } of page) {
        if (id !== undefined && state === 'running') {
          running.push({ id, clientField: client ?? 'n' });
        }
      }
    }
    return running;
  }

  async *#pages<F extends string>(
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
