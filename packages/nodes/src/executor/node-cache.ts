import type { UiOutput } from '@tiercel/contracts';
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
