import { listOutputFiles, scoped, type OutputRef, type UiOutput } from '@tiercel/contracts';
import { LRUCache } from 'lru-cache';
import { walkValue } from './walk-value.ts';

/** The result of one node. */
export interface CachedResult {
  readonly outputs: readonly unknown[];
  readonly ui: UiOutput | undefined;
  /** Whether a sketch went into it. */
  readonly sketch: boolean;
}

/** What an entry costs besides its values, in bytes (key, map slot, objects). */
const ENTRY_BYTES = 512;
const OBJECT_BYTES = 32;

/** The results that a job may use. */
export type NodeResults = Pick<NodeCache, 'get' | 'set' | 'delete'>;

/**
 * Results of nodes, shared by all jobs of a process: least recently used ones go when `maxBytes` is passed.
 * Values are never changed after they are stored, so jobs may read them at the same time.
 */
export class NodeCache {
  readonly #results: LRUCache<string, CachedResult>;

  constructor(options: { maxBytes: number }) {
    this.#results = new LRUCache({
      // To the library 0 is no limit; here it is no room, and no entry is as small as a byte.
      maxSize: Math.max(options.maxBytes, 1),
      sizeCalculation: (result) => ENTRY_BYTES + estimateBytes(result),
    });
  }

  get bytes(): number {
    return this.#results.calculatedSize;
  }

  /** Those of one tenant: a result names files, and tells by being there that somebody has asked for it before. */
  of(tenant: string): NodeResults {
    return {
      get: (key) => this.get(scoped(tenant, key)),
      set: (key, result) => {
        this.set(scoped(tenant, key), result);
      },
      delete: (key) => {
        this.delete(scoped(tenant, key));
      },
    };
  }

  get(key: string): CachedResult | undefined {
    return this.#results.get(key);
  }

  /** Keeps a result; one larger than the whole cache is not kept, nor what the key had before. */
  set(key: string, result: CachedResult): void {
    this.#results.set(key, result);
  }

  delete(key: string): void {
    this.#results.delete(key);
  }

  clear(): void {
    this.#results.clear();
  }
}

/** Roughly what a value holds in memory; an object met twice counts once. */
function estimateBytes(root: unknown): number {
  let bytes = 0;
  walkValue(root, {
    value: (value) => {
      if (typeof value === 'string') bytes += value.length * 2;
      if (typeof value === 'object' && value !== null) bytes += OBJECT_BYTES;
    },
    buffer: ({ byteLength }) => {
      bytes += byteLength;
    },
  });
  return bytes;
}

/**
 * The results that the cache has for these nodes. One whose files are gone (temp is emptied, users delete) is
 * dropped from the cache, so that its node runs again.
 */
export async function findCachedResults(
  ids: readonly string[],
  keys: ReadonlyMap<string, string>,
  cache: NodeResults,
  outputExists: (output: OutputRef) => Promise<boolean>,
): Promise<Map<string, CachedResult>> {
  const found = new Map<string, CachedResult>();
  for (const id of ids) {
    const key = keys.get(id);
    const result = key === undefined ? undefined : cache.get(key);
    if (key === undefined || !result) continue;
    const files = listOutputFiles(result.ui);
    const present = files.length === 0 || (await Promise.all(files.map(outputExists)));
    if (present === true || present.every(Boolean)) found.set(id, result);
    else cache.delete(key);
  }
  return found;
}
