import type { RedisNames } from '@tiercel/contracts';
import { LuaScript, type Redis } from '@tiercel/runtime';
import {
  CANCEL_LUA,
  CLEAR_PENDING_LUA,
  DELETE_HISTORY_LUA,
  DELETE_PENDING_LUA,
  INTERRUPT_LUA,
  TRIM_HISTORY_LUA,
} from './lua/edit.ts';

const deletePendingScript = new LuaScript(DELETE_PENDING_LUA);
const clearPendingScript = new LuaScript(CLEAR_PENDING_LUA);
const interruptScript = new LuaScript(INTERRUPT_LUA);
const cancelScript = new LuaScript(CANCEL_LUA);
const deleteHistoryScript = new LuaScript(DELETE_HISTORY_LUA);
const trimHistoryScript = new LuaScript(TRIM_HISTORY_LUA);

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
    const limit = (await this.#redis.get(`${this.#names.prefix}:seq`)) ?? '0';
    let offset = 0;
    for (;;) {
      const [seen, next] = (await clearPendingScript.run(this.#redis, this.#names.prefix, [
        limit,
        BATCH,
        offset,
      ])) as [number, number];
      if (seen < BATCH) return;
      offset = next;
    }
  }

  /** Asks for these running jobs to be stopped. */
  async interrupt(ids: readonly string[]): Promise<number> {
    return this.#inBatches(interruptScript, ids);
  }

  /** Asks for every running job to be stopped. */
  async interruptAll(): Promise<number> {
    return (await interruptScript.run(this.#redis, this.#names.prefix, [])) as number;
  }

  /** Removes what waits and stops what runs; how many of the ids were either. */
  cancel(ids: readonly string[]): Promise<number> {
    return this.#inBatches(cancelScript, ids);
  }

  deleteHistory(ids: readonly string[]): Promise<number> {
    return this.#inBatches(deleteHistoryScript, ids);
  }

  /** Removes every job that has ended at this moment; later ends stay. */
  async clearHistory(): Promise<void> {
    const newest = await this.#redis.zrange(
      `${this.#names.prefix}:history`,
      -1,
      '-1',
      'WITHSCORES',
    );
    if (newest[1] !== undefined) await this.#trim(newest[1], 0);
  }

  /** Drops what ended before a time (milliseconds since the epoch). */
  async dropHistoryBefore(endedBefore: number): Promise<void> {
    await this.#trim(`(${endedBefore}`, 0);
  }

  /** Drops the oldest ends until no more than `maxItems` are left. */
  async trimHistory(maxItems: number): Promise<void> {
    await this.#trim('', maxItems);
  }

  async #trim(endedUpTo: string, keep: number): Promise<void> {
    let removed: number;
    do {
      removed = (await trimHistoryScript.run(this.#redis, this.#names.prefix, [
        endedUpTo,
        keep,
        BATCH,
      ])) as number;
    } while (removed > 0);
  }

  async #inBatches(script: LuaScript, ids: readonly string[]): Promise<number> {
    let total = 0;
    for (let at = 0; at < ids.length; at += BATCH) {
      const batch = ids.slice(at, at + BATCH);
      total += (await script.run(this.#redis, this.#names.prefix, batch)) as number;
    }
    return total;
  }
}
