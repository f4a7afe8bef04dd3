import { randomUUID } from 'node:crypto';
import type { RedisNames } from '@tiercel/contracts';
import type { Redis } from '@tiercel/runtime';
import { cancelScript } from './lua/cancel.ts';
import { clearPendingScript, FIRST_PENDING, type PendingCursor } from './lua/clear-pending.ts';
import { deleteHistoryScript } from './lua/delete-history.ts';
import { deletePendingScript } from './lua/delete-pending.ts';
import { interruptScript } from './lua/interrupt.ts';
import { moveJobScript } from './lua/move-job.ts';
import { trimHistoryScript } from './lua/trim-history.ts';

/** So many records at a time, so that no script holds Redis for long. */
const BATCH = 500;

/** Edits of queue and history by callers. All are idempotent; ids that do not fit are ignored. */
export class Editor {
  readonly #redis: Redis;
  readonly #names: RedisNames;

  constructor(redis: Redis, names: RedisNames) {
    this.#redis = redis;
    this.#names = names;
  }

  /** Removes waiting jobs; they leave no trace, as in ComfyUI. */
  deletePending(ids: readonly string[]): Promise<number> {
    return this.#inBatches(deletePendingScript, ids);
  }

  /** Removes every job that waits at this moment; later arrivals stay. */
  async clearPending(): Promise<void> {
    const lastArrival = (await this.#redis.get(this.#names.seq)) ?? '0';
    let cursor: PendingCursor | undefined = FIRST_PENDING;
    while (cursor !== undefined) {
      cursor = await clearPendingScript.run(this.#redis, {
        ...{ prefix: this.#names.prefix, last_arrival: lastArrival, batch: BATCH },
        ...cursor,
      });
    }
  }

  /** Asks for these running jobs to be stopped. */
  async interrupt(ids: readonly string[]): Promise<number> {
    return this.#inBatches(interruptScript, ids);
  }

  /** Asks for every running job to be stopped. */
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
      ...{ prefix: this.#names.prefix, call: randomUUID(), id },
      number: place === 'front' ? '' : place,
    });
  }

  deleteHistory(ids: readonly string[]): Promise<number> {
    return this.#inBatches(deleteHistoryScript, ids);
  }

  /** Removes every job that has ended at this moment; later ends stay. */
  async clearHistory(): Promise<void> {
    const newest = await this.#redis.zrange(this.#names.history, -1, '-1', 'WITHSCORES');
    if (newest[1] !== undefined) await this.#trim({ ended_by: newest[1] });
  }

  /** Drops what ended longer ago than this, by Redis' clock. */
  async dropHistoryOlderThan(ageMs: number): Promise<void> {
    await this.#trim({ older_than_ms: ageMs });
  }

  /** Drops the oldest ends until no more than `maxItems` are left. */
  async trimHistory(maxItems: number): Promise<void> {
    await this.#trim({ keep: maxItems });
  }

  async #trim(which: { ended_by?: string; older_than_ms?: number; keep?: number }): Promise<void> {
    const { prefix } = this.#names;
    const values = { prefix, ended_by: '', older_than_ms: '', keep: 0, batch: BATCH, ...which };
    while ((await trimHistoryScript.run(this.#redis, values)) > 0);
  }

  async #inBatches(script: typeof cancelScript, ids: readonly string[]): Promise<number> {
    let total = 0;
    for (let at = 0; at < ids.length; at += BATCH) {
      total += await this.#edit(script, ids.slice(at, at + BATCH));
    }
    return total;
  }

  #edit(script: typeof cancelScript, ids: readonly string[]): Promise<number> {
    return script.run(this.#redis, { prefix: this.#names.prefix, call: randomUUID(), ids });
  }
}
