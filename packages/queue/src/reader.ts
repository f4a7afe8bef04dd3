import type { JobState, PromptId, RedisNames } from '@tiercel/contracts';
import type { Redis } from '@tiercel/runtime';
import {
  RECORD_FIELDS,
  toRecord,
  toView,
  VIEW_FIELDS,
  type JobRecord,
  type JobView,
} from './job-record.ts';
import { pageScript } from './lua/page.ts';

export interface QueueListing {
  readonly running: readonly JobRecord[];
  readonly pending: readonly JobRecord[];
}

export interface JobsPageQuery {
  readonly states: readonly JobState[];
  readonly sortBy: 'created' | 'duration';
  readonly descending: boolean;
  readonly offset: number;
  readonly limit: number;
}

/** Records fetched in one round trip; bounds what one answer holds in memory at a time. */
const CHUNK = 200;

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

  /**
   * Ids of everything in the queue, at one moment: a job on its way from pending to running (or back)
   * is in exactly one of the lists.
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

  /** Running jobs in the order they were taken, pending ones in the order they will be. */
  async readQueue(): Promise<QueueListing> {
    const ids = await this.listQueueIds();
    const [running, pending] = await Promise.all([
      this.readRecords(ids.running),
      this.readRecords(ids.pending),
    ]);
    return { running, pending };
  }

  /**
   * Ids of ended jobs, oldest first, with ComfyUI's paging (transcript 16): `maxItems` alone means the
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

  /** Views of jobs in the order of the ids; ids without a record are left out. */
  async readViews(ids: readonly string[]): Promise<JobView[]> {
    return (await this.#readFields(ids, VIEW_FIELDS)).map(toView);
  }

  async readRecords(ids: readonly string[]): Promise<JobRecord[]> {
    return (await this.#readFields(ids, RECORD_FIELDS)).map(toRecord);
  }

  async readRecord(id: string): Promise<JobRecord | undefined> {
    return (await this.readRecords([id]))[0];
  }

  /** Records a chunk at a time, for answers that may be long. */
  async *streamRecords(ids: readonly string[]): AsyncGenerator<JobRecord[]> {
    for (let at = 0; at < ids.length; at += CHUNK) {
      yield await this.readRecords(ids.slice(at, at + CHUNK));
    }
  }

  /** Ids of running jobs that belong to a client. */
  async listRunningOf(clientField: string): Promise<PromptId[]> {
    const ids = await this.#redis.zrange(this.#names.running, 0, '-1');
    const owners = await this.#readFields(ids, ['id', 'client', 'state']);
    return owners
      .filter((job) => job.client === clientField && job.state === 'running')
      .map((job) => job.id as PromptId);
  }

  async #readFields<F extends string>(
    ids: readonly string[],
    fields: readonly F[],
  ): Promise<Record<F, string | undefined>[]> {
    if (ids.length === 0) return [];
    const found: Record<F, string | undefined>[] = [];
    for (let at = 0; at < ids.length; at += CHUNK) {
      const pipeline = this.#redis.pipeline();
      for (const id of ids.slice(at, at + CHUNK)) pipeline.hmget(this.#names.job(id), ...fields);
      for (const [error, values] of (await pipeline.exec()) ?? []) {
        if (error) throw error;
        const texts = values as (string | null)[];
        if (texts[0] === null) continue;
        const entries = fields.map((field, index) => [field, texts[index] ?? undefined] as const);
        found.push(Object.fromEntries(entries) as Record<F, string | undefined>);
      }
    }
    return found;
  }
}
