import { freemem, totalmem } from 'node:os';
import {
  mergeModelLists,
  type Announcement,
  type Device,
  type ModelLists,
  type ObjectInfo,
} from '@tiercel/contracts';
import { mergeObjectInfo } from '@tiercel/graph';
import { embeddedModels } from '@tiercel/nodes';
import { sealSecrets } from '@tiercel/queue';
import type { TierReading } from '@tiercel/runtime';
import type { Backends } from './create-backends.ts';
import { describeServiceClasses, listServiceModels } from './service-catalogue.ts';

/** What a worker's tiers can do together; changes as servers come and go. */
export interface Offer extends Pick<
  Announcement,
  'models' | 'embeddings' | 'devices' | 'tiers' | 'servers' | 'extensions'
> {
  readonly objectInfo: ObjectInfo;
}

export function describeOffer(
  backends: Backends,
  readings: readonly TierReading[],
  secretKey: Uint8Array,
): Offer {
  const { tiers, pools, registry, isSketching, checkpoints } = backends;
  const offers = pools.map((pool) => ({ name: pool.name, ...pool.offer() }));
  const servers = offers.flatMap(({ name, servers: listed }) =>
    listed.map(({ url, address, healthy }) => ({
      ...{ tier: name, url, healthy },
      ...(address === url ? {} : { sealedAddress: sealSecrets(secretKey, address) }),
    })),
  );
  const serviceModels = checkpoints === undefined ? undefined : listServiceModels(checkpoints);
  return {
    objectInfo: mergeObjectInfo([
      ...offers.map(({ objectInfo }) => objectInfo),
      ...(serviceModels === undefined ? [] : [describeServiceClasses(serviceModels)]),
      ...(registry === undefined ? [] : [registry.objectInfo()]),
    ]),
    models: mergeModelLists([
      ...offers.map(({ models }) => models),
      ...(serviceModels === undefined ? [] : [serviceModels]),
      ...(isSketching ? [embeddedModels] : []),
    ] satisfies ModelLists[]),
    embeddings: [...new Set(offers.flatMap(({ embeddings }) => embeddings))],
    extensions: [...new Set(offers.flatMap(({ extensions }) => extensions))],
    devices: [...offers.flatMap(({ devices }) => devices), ...(pools.length === 0 ? [cpu()] : [])],
    servers,
    tiers: tiers.map(({ backend: { name, driver } }) => {
      const reading = readings.find(({ tier }) => tier === name);
      const breaker = reading?.breaker ?? 'closed';
      const isUp = driver !== 'comfyui' || servers.some((s) => s.tier === name && s.healthy);
      const healthy = isUp && breaker !== 'open';
      return { name, driver, healthy, breaker, counts: reading?.counts };
    }),
  };
}

/** A CPU as ComfyUI shows it (transcript 17): system memory stands for video memory. */
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
