import { outputKeys } from '@tiercel/nodes';
import { ResultCache, SharedResults } from '@tiercel/routing';
import type { RunningProcess } from '@tiercel/runtime';
import type { TenantFiles } from '@tiercel/storage';
import type { Backends } from './create-backends.ts';

/** A worker that leads equal jobs and is silent for this long is dead. */
const LEASE_MS = 15_000;

/** The store of results that equal jobs may use; undefined when it is switched off or no tier uses it. */
export function createSharedResults(
  { config, redis, names }: RunningProcess,
  { tiers, registry }: Backends,
  files: TenantFiles,
): SharedResults | undefined {
  const isUsed = tiers.some(({ backend }) => backend.cacheModel !== undefined);
  if (!isUsed || registry === undefined) return undefined;
  const { maxBytes, maxAgeMs, degradedMaxAgeMs } = config.cache;
  const cache = new ResultCache({
    redis,
    prefix: names.prefix,
    // A job that a dead worker led is redelivered after `lockMs`: it must not wait for itself then.
    leaseMs: Math.min(LEASE_MS, config.queue.lockMs),
    limits: { maxBytes, maxAgeMs, degradedMaxAgeMs },
    outputVersion: async (ref, tenant) => (await files.of(tenant).find(ref))?.version,
  });
  return new SharedResults({
    cache,
    outputKeys: ({ tenant, analysis, promptText, outputIds }) => {
      const { signal } = new AbortController();
      const graph = analysis.nodes;
      const own = files.of(tenant);
      return outputKeys({ graph, promptText, outputs: outputIds, registry, files: own, signal });
    },
    sizeOf: async (ref, tenant) => (await files.of(tenant).find(ref))?.size ?? 0,
  });
}
