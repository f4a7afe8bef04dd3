import {
  createComfyUiBackend,
  createEmbeddedBackend,
  type Backend,
  type ComfyUiBackend,
} from '@tiercel/backends';
import type { WorkerId } from '@tiercel/contracts';
import {
  createBuiltinNodes,
  createRegistry,
  loadPlugins,
  NodeCache,
  type NodeRegistry,
} from '@tiercel/nodes';
import { systemClock, type RunningProcess, type TierConfig } from '@tiercel/runtime';
import type { FileStore } from '@tiercel/storage';

export interface Backends {
  /** In the order of preference. */
  readonly all: readonly Backend[];
  readonly pools: readonly ComfyUiBackend[];
  /** Of the embedded tier; undefined when there is none. */
  readonly registry: NodeRegistry | undefined;
}

/** Silence after which a server is asked whether it still has the prompt. */
const CHECK_MS = 5_000;
/** A server may be away this long (a restart) before its prompt is given up. */
const LOST_AFTER_MS = 8_000;
/** A job waits this long for a server that can run it when none is up. */
const UNAVAILABLE_MS = 60_000;

/** Builds the configured tiers. */
export async function createBackends(
  parts: RunningProcess,
  workerId: WorkerId,
  files: FileStore,
): Promise<Backends> {
  const { config, redis, names, log, lifecycle } = parts;
  const isGenerating = config.tiers.some(({ driver }) => driver !== 'embedded');
  const wantsEmbedded = config.tiers.some(({ driver }) => driver === 'embedded');
  const plugins = config.nodesDir === undefined ? [] : await loadPlugins(config.nodesDir);
  const registry = createRegistry([...createBuiltinNodes(), ...plugins]);
  const cache = new NodeCache({ maxBytes: config.worker.cacheBytes });
  const pools: ComfyUiBackend[] = [];
  const create = ({ name, driver, urls, timeoutMs }: TierConfig): Backend => {
    if (driver === 'embedded') {
      const { maxPixels } = config.worker;
      return createEmbeddedBackend({
        ...{ name, timeoutMs, registry, cache, files, maxPixels },
        sketches: !isGenerating,
      });
    }
    const pool = createComfyUiBackend({
      ...{ name, urls, timeoutMs, files, redis, log },
      clientId: `tiercel-${workerId}`,
      prefix: names.prefix,
      clock: systemClock,
      run: { checkMs: CHECK_MS, lostAfterMs: LOST_AFTER_MS },
      unavailableMs: UNAVAILABLE_MS,
    });
    pools.push(pool);
    lifecycle.onClose(`pool ${name}`, () => {
      pool.close();
    });
    return pool;
  };
  const all = config.tiers.map(create);
  await Promise.all(pools.map((pool) => pool.ready()));
  return { all, pools, registry: wantsEmbedded ? registry : undefined };
}
