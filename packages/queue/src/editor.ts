import { randomUUID } from 'node:crypto';
import { DEFAULT_TENANT, jobIdOf, type RedisNames } from '@tiercel/contracts';
import type { Redis } from '@tiercel/runtime';
import { cancelScript } from './lua/cancel.ts';
import { clearPendingScript, FIRST_PENDING, type PendingCursor } from './lua/clear-pending.ts';
import { deleteHistoryScript } from './lua/delete-history.ts';
import { deletePendingScript } from './lua/delete-pending.ts';
import { interruptScript } from './lua/interrupt.ts';
import { moveJobScript } from './lua/move-job.ts';
import { trimHistoryScript } from './lua/trim-history.ts';

type IdsScript = typeof cancelScript | typeof interruptScript;

/** So many records at a time, so that no script holds Redis for long. */
const BATCH = 500;

/**
 * Edits of queue and history by callers, of one tenant's jobs: others are as ones that do not exist. All are idempotent;
 * ids that do not fit are ignored.
 */
export class Editor {
  readonly #redis: Redis;
  readonly #names: RedisNames;
  readonly #tenant: string;

  constructor(redis: Redis, names: RedisNames, tenant = DEFAULT_TENANT) {
    this.#redis = redis;
    this.#names = names;
    this.#tenant = tenant;
  }

  /** The same for another tenant's jobs. */
  of(tenant: string): Editor {
    return new Editor(this.#redis, this.#names, tenant);
  }

  #own(set: string): string {
    return this.#names.ofTenant(set, this.#tenant);
  }

  /** Removes waiting jobs; they leave no trace, as in ComfyUI. */
  deletePending(ids: readonly string[]): Promise<number> {
    return this.#inBatches(deletePendingScript, ids);
  }

  /** Removes every job of the tenant that waits at this moment; later arrivals stay. */
  async clearPending(): Promise<void> {
    const lastArrival = (await this.#redis.get(this.#names.seq)) ?? '0';
    let cursor: PendingCursor | undefined = FIRST_PENDING;
    while (cursor !== undefined) {
      cursor = await clearPendingScript.run(this.#redis, {
        ...{ prefix: this.#names.prefix, set: this.#own(this.#names.pending) },
        ...{ last_arrival: lastArrival, batch: BATCH },
        ...cursor,
      });
    }
  }

  /** Asks for these running jobs to be stopped. */
  async interrupt(ids: readonly string[]): Promise<number> {
    return this.#inBatches(interruptScript, ids);
  }

  /** Asks for every running job of the tenant to be stopped. */
  async interruptAll(): Promise<number> {
    return await this.#edit(interruptScript, []);
  }

  /** Removes what waits and stops what runs; how many of the ids were either. */
  cancel(ids: readonly string[]): Promise<number> {
    return this.#inBatches(cancelScript, ids);
  }

  /**
   * Gives a waiting job another place among those of its tenant.
   * @param place a number as that of POST /prompt, or before all that have counted ones
   * @returns the number that it has now; undefined when it does not wait
   */
  move(id: string, place: number | 'front'): Promise<number | undefined> {
    return moveJobScript.run(this.#redis, {
      ...{ prefix: this.#names.prefix, call: randomUUID(), id: jobIdOf(this.#tenant, id) },
      number: place === 'front' ? '' : place,
    });
  }

  deleteHistory(ids: readonly string[]): Promise<number> {
    return this.#inBatches(deleteHistoryScript, ids);
  }

  /** Removes every job of the tenant that has ended at this moment; later ends stay. */
  async clearHistory(): Promise<void> {
    const newest = await this.#redis.zrange(this.#own(this.#names.history), -1, '-1', 'WITHSCORES');
    if (newest[1] !== undefined)
      await this.#trim(this.#own(this.#names.history), { ended_by: newest[1] });
  }

  /** Drops of all tenants what ended longer ago than this, by Redis' clock. */
  async dropHistoryOlderThan(ageMs: number): Promise<void> {
    for (const set of this.#names.ofAll(this.#names.history)) {
      await this.#trim(set, { older_than_ms: ageMs });
    }
  }

  /**
   * Drops the oldest ends until no more than `maxItems` are left, of DEFAULT_TENANT and of all others together. Of those
   * the one that has most loses first.
   */
  async trimHistory(maxItems: number): Promise<void> {
    for (const set of this.#names.ofAll(this.#names.history)) {
      await this.#trim(set, { keep: maxItems });
    }
  }

  async #trim(
    set: string,
    which: { ended_by?: string; older_than_ms?: number; keep?: number },
  ): Promise<void> {
    const { prefix } = this.#names;
    const limits = { ended_by: '', older_than_ms: '', keep: 0, ...which };
    const values = { prefix, set, batch: BATCH, ...limits };
    while ((await trimHistoryScript.run(this.#redis, values)) > 0);
  }

  async #inBatches(script: IdsScript, ids: readonly string[]): Promise<number> {
    let total = 0;
    for (let at = 0; at < ids.length; at += BATCH) {
      total += await this.#edit(script, ids.slice(at, at + BATCH));
    }
    return total;
  }

  #edit(script: IdsScript, ids: readonly string[]): Promise<number> {
    return script.run(this.#redis, {
      ...{ prefix: this.#names.prefix, call: randomUUID() },
      set: this.#own(this.#names.running),
      ids: ids.map((id) => jobIdOf(this.#tenant, id)),
    });
  }
}
