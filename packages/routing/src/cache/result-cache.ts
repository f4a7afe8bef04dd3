import { type OutputRef, RedisNames } from '@tiercel/contracts';
import type { Redis } from '@tiercel/runtime';
import { hashCacheKey, type CacheKey } from './cache-key.ts';
import {
  decodeEntry,
  encodeEntry,
  fromEntry,
  listEntryFiles,
  toEntry,
  type CachedJob,
} from './cached-job.ts';
import { SingleFlight, LEASE_MS, type FlightRole } from './single-flight.ts';
import { dropResultScript } from './lua/drop-result.ts';
import { findResultScript } from './lua/find-result.ts';
import { storeResultScript } from './lua/store-result.ts';

interface ResultCacheLimits {
  /** Most bytes of all files that results name, and of the entries themselves. */
  readonly maxBytes: number;
  /** Life of a result since it was stored. */
  readonly maxAgeMs: number;
  /** The same for a degraded one. */
  readonly degradedMaxAgeMs: number;
}

export interface ResultCacheOptions {
  readonly redis: Redis;
  readonly prefix: string;
  readonly limits: ResultCacheLimits;
  /**
   * A text that changes with the file, undefined when there is none. Names of deleted files are given out
   * again, so that a file of that name exists does not prove that it is the one that was cached.
   */
  outputVersion(ref: OutputRef, tenant: string): Promise<string | undefined>;
  /** A leader silent for this long is dead. Default 15 s. */
  readonly leaseMs?: number;
}

/** What an entry costs besides its files and its text, in bytes. */
const ENTRY_BYTES = 512;

/**
 * Results of whole jobs, shared by all workers through Redis: the same effective request on the same
 * tier and model is answered from storage, and equal requests in flight run once. The files stay
 * where they are and belong to history; only their names are kept here.
 *
 * Use: `find`; when it is a miss, `claim`; as leader run, `store`, then `done` in a `finally`; as follower
 * `wait`, then from the start again. A follower finds nothing when the result was refused or its files
 * went at once, so the way round again must end in a run, as it does: what `find` does not give, it
 * has dropped, and then a claim leads.
 *
 * An entry is absent, live, or of no use (too old, files gone, unreadable, its bookkeeping lost); find
 * turns the latter into absent. A flight is absent or led. Each move is one script; a process that dies
 * - before `claim` answers: a lease without a leader, which runs out;
 * - between `claim` and `store`: the same, and then a follower leads;
 * - after files were written, before `store`: the same; nothing names these files but the job's record;
 * - between `store` and `done`: followers see the entry before they look at the lease, which runs out;
 * - in `find` before it drops a useless entry: the next one drops it.
 *
 * A leader that is only slow (blocked, or cut off from Redis for longer than its lease) may run beside
 * its successor; the later `store` wins, and its late `done` does not touch the successor's lease.
 *
 * Redis's errors are passed on: whether a job can do without the cache is the caller's choice.
 */
export class ResultCache {
  readonly #options: ResultCacheOptions;
  readonly #names: RedisNames;
  readonly #singleFlight: SingleFlight;

  constructor(options: ResultCacheOptions) {
    this.#options = options;
    this.#names = new RedisNames(options.prefix);
    const { redis, leaseMs = LEASE_MS } = options;
    this.#singleFlight = new SingleFlight({ redis, leaseMs });
  }

  /** The result of an equal request, under the node ids of this one; it counts as used now. */
  async find(key: CacheKey): Promise<CachedJob | undefined> {
    const hash = hashCacheKey(key);
    const { redis, prefix } = this.#options;
    const value = await findResultScript.run(redis, { prefix, hash });
    if (value === undefined) return undefined;
    const stored = decodeEntry(value);
    if (stored !== undefined) {
      const { owner = key.tenant } = stored.entry;
      const stamps = await this.#stampFiles(listEntryFiles(stored.entry), owner);
      if (isSame(stamps, stored.stamps)) return fromEntry(key, stored.entry);
    }
    await dropResultScript.run(redis, { prefix, hash, value });
    return undefined;
  }

  /**
   * Keeps a result, and drops those least recently used when there is no room. Not kept: one larger than
   * the cache, one whose files are gone already, and a degraded one while a full one lives longer.
   * @param facts `bytes`: of all files that the outputs name; `degraded`: it lives `degradedMaxAgeMs`
   * @returns whether it was kept
   */
  async store(
    key: CacheKey,
    job: CachedJob,
    facts: { readonly bytes: number; readonly degraded: boolean },
  ): Promise<boolean> {
    const { redis, prefix, limits } = this.#options;
    const entry = toEntry(key, job);
    const stamps = await this.#stampFiles(listEntryFiles(entry), key.tenant);
    if (!stamps.every((stamp) => stamp !== undefined)) return false;
    const value = encodeEntry(entry, stamps);
    const bytes = Math.ceil(facts.bytes) + Buffer.byteLength(value) + ENTRY_BYTES;
    const lifeMs = facts.degraded ? limits.degradedMaxAgeMs : limits.maxAgeMs;
    return await storeResultScript.run(redis, {
      prefix,
      hash: hashCacheKey(key),
      value,
      bytes,
      life_ms: lifeMs,
      max_bytes: limits.maxBytes,
    });
  }

  /**
   * Who does the work of this request, which `find` did not have. A follower too when a result was stored
   * since; its `wait` then ends at once.
   */
  claim(key: CacheKey): Promise<FlightRole> {
    const hash = hashCacheKey(key);
    const { resultCache, flight } = this.#names;
    return this.#singleFlight.claim({ entry: resultCache(hash), flight: flight(hash) });
  }

  /** For each file a text that tells it from a later one of its name; undefined when it is gone. */
  #stampFiles(files: readonly OutputRef[], tenant: string): Promise<(string | undefined)[]> {
    const options = this.#options;
    // A file that cannot be asked for (a name the store refuses) cannot be served either.
    return Promise.all(
      files.map((ref) => options.outputVersion(ref, tenant).catch(() => undefined)),
    );
  }
}

function isSame(
  stamps: readonly (string | undefined)[],
  expected: readonly (string | undefined)[],
): boolean {
  return (
    stamps.length === expected.length &&
    stamps.every((stamp, index) => stamp !== undefined && stamp === expected[index])
  );
}
