import { freemem, totalmem } from 'node:os';
import {
  mergeFeatures,
  mergeMembers,
  mergeModelLists,
  pickSystem,
  type WorkerCapabilities,
  type Device,
  type ObjectInfo,
} from '@tiercel/contracts';
import { mergeObjectInfo } from '@tiercel/graph';
import { sketchClasses } from '@tiercel/nodes';
import { memoizeLast, sealSecrets, type TierReading } from '@tiercel/runtime';
import type { Backends } from './create-backends.ts';
import { describeServiceClasses, listModelNames, acceptAnyFile } from './service-catalogue.ts';

/** What a worker's tiers can do together; changes as servers come and go. */
export interface TierCapabilities extends Pick<
  WorkerCapabilities,
  | 'models'
  | 'embeddings'
  | 'devices'
  | 'tiers'
  | 'servers'
  | 'extensions'
  | 'system'
  | 'features'
  | 'nodeReplacements'
> {
  readonly objectInfo: ObjectInfo;
}

/** Reads what a worker can run. The catalogue is merged anew only when a part of it has changed. */
export function createCapabilitiesReader(
  backends: Backends,
  secretKey: Uint8Array,
): (readings: readonly TierReading[]) => TierCapabilities {
  const { tiers, pools, checkpoints } = backends;
  const named = isFileless(backends) ? [listModelNames(checkpoints ?? [])] : [];
  const describeOwn = createOwnClassesReader(backends);
  const merge = memoizeLast(mergeObjectInfo);
  const seal = createSealer(secretKey);

  return (readings) => {
    const pooled = pools.map((pool) => ({ name: pool.name, ...pool.capabilities() }));
    const catalogues = pooled.map(({ objectInfo }) => objectInfo);
    const servers = pooled.flatMap(({ name, servers: listed }) =>
      listed.map(({ url, address, healthy }) => ({
        ...{ tier: name, url, healthy },
        ...(address === url ? {} : { sealedAddress: seal(address) }),
      })),
    );
    return {
      objectInfo: merge([...catalogues, ...describeOwn(catalogues)]),
      models: mergeModelLists([...pooled.map(({ models }) => models), ...named]),
      embeddings: [...new Set(pooled.flatMap(({ embeddings }) => embeddings))],
      extensions: [...new Set(pooled.flatMap(({ extensions }) => extensions))],
      devices: [
        ...pooled.flatMap(({ devices }) => devices),
        ...(pools.length === 0 ? [cpu()] : []),
      ],
      servers,
      system: pickSystem(pooled.flatMap(({ systems }) => systems)),
      features: mergeFeatures(pooled.flatMap(({ features }) => features)),
      nodeReplacements: mergeMembers(pooled.flatMap(({ nodeReplacements }) => nodeReplacements)),
      tiers: tiers.map(({ backend: { name, driver } }) => {
        const reading = readings.find(({ tier }) => tier === name);
        const breaker = reading?.breaker ?? 'closed';
        const isUp = driver !== 'comfyui' || servers.some((s) => s.tier === name && s.healthy);
        const healthy = isUp && breaker !== 'open';
        return { name, driver, healthy, breaker, counts: reading?.counts };
      }),
    };
  };
}

/** The same address gives the same text: capabilities are compared, and sent at once when they differ. */
function createSealer(secretKey: Uint8Array): (address: string) => string {
  const known = new Map<string, string>();
  return (address) => {
    const sealed = known.get(address) ?? sealSecrets(secretKey, address);
    known.set(address, sealed);
    return sealed;
  };
}

/** Some tier samples without loading a file: any name will do for it. */
function isFileless({ isSketching, checkpoints }: Backends): boolean {
  return isSketching || checkpoints !== undefined;
}

/**
 * Classes that the worker has beside those of its pools. One that wants a model is offered only where the
 * worker has something to stand for it, or while it is not known yet what the servers have.
 */
function createOwnClassesReader(
  backends: Backends,
): (catalogues: readonly ObjectInfo[]) => readonly ObjectInfo[] {
  const { registry, checkpoints } = backends;
  const models = listModelNames(checkpoints ?? []);
  const services = checkpoints === undefined ? [] : [describeServiceClasses(models)];
  if (registry === undefined) return () => services;
  const own = registry.objectInfo();
  const withModels = [...services, acceptAnyFile(own, models)];
  const others = Object.entries(own).filter(([name]) => !sketchClasses.has(name));
  const withoutModels = [...services, Object.fromEntries(others)];
  return (catalogues) => {
    const isKnown = catalogues.every((classes) => Object.keys(classes).length > 0);
    return isFileless(backends) || !isKnown ? withModels : withoutModels;
  };
}

/** A CPU as ComfyUI shows it (wire 10.8): system memory stands for video memory. */
function cpu(): Device {
  const [total, free] = [totalmem(), freemem()];
  return {
    name: 'cpu',
    type: 'cpu',
    index: null,
    vram_total: total,
    vram_free: free,
    torch_vram_total: total,
    torch_vram_free: free,
  };
}
