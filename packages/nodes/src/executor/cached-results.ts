import { listOutputFiles, type OutputRef } from '@tiercel/contracts';
import type { CachedResult, NodeCache } from './node-cache.ts';

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
