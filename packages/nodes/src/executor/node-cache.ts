import { listOutputFiles, type OutputRef, type UiOutput } from '@tiercel/contracts';
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
  readonly #maxBytes: number;
  readonly #entries = new Map<string, { result: CachedResult; bytes: number }>();
  #bytes = 0;

  constructor(options: { maxBytes: number }) {
    this.#maxBytes = options.maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get(key: string): CachedResult | undefined {
    const entry = this.#entries.get(key);
    if (!entry) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry.result;
  }

  set(key: string, result: CachedResult): void {
    this.delete(key);
    const bytes = ENTRY_BYTES + estimateBytes(result);
    if (bytes > this.#maxBytes) return;
    this.#entries.set(key, { result, bytes });
    this.#bytes += bytes;
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= this.#maxBytes) break;
      this.delete(oldest);
    }
  }

  delete(key: string): void {
    const entry = this.#entries.get(key);
    if (!entry) return;
    this.#entries.delete(key);
    this.#bytes -= entry.bytes;
  }

  clear(): void {
    this.#entries.clear();
    this.#bytes = 0;
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
  cache: NodeCache,
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
