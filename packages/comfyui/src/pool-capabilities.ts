import { type Device, type JsonObject, mergeModelLists, type ObjectInfo } from '@tiercel/contracts';
import { mergeObjectInfo } from '@tiercel/graph';
import { memoizeLast } from '@tiercel/runtime';
import type { PoolServer } from './pool-server.ts';

/** What the pool offers, for the worker's announcement. */
export interface PoolCapabilities {
  readonly objectInfo: ObjectInfo;
  readonly models: Readonly<Record<string, readonly string[]>>;
  readonly embeddings: readonly string[];
  readonly extensions: readonly string[];
  readonly devices: readonly (Device & { readonly server: string })[];
  readonly servers: readonly {
    readonly url: string;
    /** With the login, if it has one: to be sealed before it leaves the process. */
    readonly address: string;
    readonly healthy: boolean;
  }[];
  /** `system` of each server that is up, as it said last. */
  readonly systems: readonly JsonObject[];
  readonly features: readonly JsonObject[];
  readonly nodeReplacements: readonly JsonObject[];
}

/**
 * What a pool offers. Classes and models of a server that is away stay on offer: its jobs wait for it or for
 * another. The catalogue is merged anew only when that of a server has changed.
 */
export function createCapabilitiesDescriber(): (pool: readonly PoolServer[]) => PoolCapabilities {
  const merge = memoizeLast(mergeObjectInfo);
  return (pool) => {
    const known = pool.flatMap((server) =>
      server.abilities === undefined
        ? []
        : [{ url: server.url, isHealthy: server.isHealthy, ...server.abilities }],
    );
    const up = known.filter(({ isHealthy }) => isHealthy);
    return {
      objectInfo: merge(known.map(({ objectInfo }) => objectInfo)),
      models: mergeModelLists(known.map(({ models }) => models)),
      embeddings: union(known.map(({ embeddings }) => embeddings)),
      extensions: union(known.map(({ extensions }) => extensions)),
      devices: up.flatMap(({ url, devices }) =>
        devices.map((device) => ({ ...device, server: url })),
      ),
      servers: pool.map(({ url, address, isHealthy }) => ({ url, address, healthy: isHealthy })),
      systems: up.map(({ system }) => system),
      features: up.map(({ features }) => features),
      nodeReplacements: known.map(({ nodeReplacements }) => nodeReplacements),
    };
  };
}

function union(lists: readonly (readonly string[])[]): string[] {
  return [...new Set(lists.flat())].sort();
}
