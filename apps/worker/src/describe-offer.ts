import { freemem, totalmem } from 'node:os';
import {
  mergeModelLists,
  type Announcement,
  type Device,
  type ObjectInfo,
} from '@tiercel/contracts';
import { mergeObjectInfo } from '@tiercel/graph';
import { embeddedModels } from '@tiercel/nodes';
import type { Backends } from './create-backends.ts';

/** What a worker's tiers can do together; changes as servers come and go. */
export interface Offer extends Pick<
  Announcement,
  'models' | 'embeddings' | 'devices' | 'tiers' | 'servers' | 'extensions'
> {
  readonly objectInfo: ObjectInfo;
}

export function describeOffer({ all, pools, registry }: Backends): Offer {
  const offers = pools.map((pool) => ({ name: pool.name, ...pool.offer() }));
  const sketches = registry !== undefined && pools.length === 0;
  const servers = offers.flatMap(({ name, servers: listed }) =>
    listed.map(({ url, healthy }) => ({ tier: name, url, healthy })),
  );
  return {
    objectInfo: mergeObjectInfo([
      ...offers.map(({ objectInfo }) => objectInfo),
      ...(registry === undefined ? [] : [registry.objectInfo()]),
    ]),
    models: mergeModelLists([
      ...offers.map(({ models }) => models),
      ...(sketches ? [embeddedModels] : []),
    ]),
    embeddings: [...new Set(offers.flatMap(({ embeddings }) => embeddings))],
    extensions: [...new Set(offers.flatMap(({ extensions }) => extensions))],
    devices: [...offers.flatMap(({ devices }) => devices), ...(pools.length === 0 ? [cpu()] : [])],
    servers,
    tiers: all.map(({ name, driver }) => ({
      name,
      driver,
      healthy: driver === 'embedded' || servers.some((s) => s.tier === name && s.healthy),
    })),
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
