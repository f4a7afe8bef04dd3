import { readFile } from 'node:fs/promises';
import type { OutputRef } from '@tiercel/contracts';
import { copyPictures, outputKeys, showsPixelsOnly } from '@tiercel/nodes';
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
  const { maxBytes, maxAgeMs, degradedMaxAgeMs, shared } = config.cache;
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
    outputKeys: async (request) => {
      const { tenant, analysis, promptText, outputIds } = request;
      const { signal } = new AbortController();
      const graph = analysis.nodes;
      const own = files.of(tenant);
      const found = new Set<string>();
      const fingerprint = async (name: string): Promise<string> => {
        const version = await own.fingerprint(name);
        found.add(name);
        return version;
      };
      const keys = await outputKeys({
        ...{ graph, promptText, outputs: outputIds, registry, signal },
        files: { fingerprint },
      });
      if (keys === undefined) return undefined;
      // What a tenant has uploaded stays with it: equal names and stamps are no proof of equal files.
      return { keys, areShared: shared && found.size === 0 && showsPixelsOnly(request, registry) };
    },
    adopt: (outputs, owner, request) =>
      copyPictures(outputs, request, {
        registry,
        read: (ref) => readWhole(files, ref, owner),
        saveOutput: (output) => files.of(request.tenant).saveOutput(output),
      }),
    sizeOf: async (ref, tenant) => (await files.of(tenant).find(ref))?.size ?? 0,
  });
}

/** A stored file; undefined when it is gone, or was written anew while it was read. */
async function readWhole(
  files: TenantFiles,
  ref: OutputRef,
  tenant: string,
): Promise<Uint8Array | undefined> {
  const before = await files.of(tenant).find(ref);
  if (before === null) return undefined;
  const bytes = await readFile(before.path).catch(() => undefined);
  const after = await files.of(tenant).find(ref);
  return after?.version === before.version ? bytes : undefined;
}
