import { type ComfyUiBackend, createComfyUiBackend, toPublicUrl } from '@tiercel/comfyui';
import { AppError, type WorkerId } from '@tiercel/contracts';
import {
  createAutomatic1111Service,
  createCloudflareService,
  createOpenAiService,
  createPollinationsService,
  createServiceBackend,
  createTurboService,
  type ImageService,
} from '@tiercel/image-services';
import {
  createBuiltinNodes,
  createEmbeddedBackend,
  createRegistry,
  loadPlugins,
  NodeCache,
  type NodeDefinition,
  type NodeRegistry,
} from '@tiercel/nodes';
import { MemoryBudget } from '@tiercel/pictures';
import type { Backend, Tier } from '@tiercel/routing';
import {
  inTime,
  LATE,
  type Config,
  type RunningProcess,
  systemClock,
  TIER_RULES,
  type TierConfig,
  type TierDriver,
} from '@tiercel/runtime';
import type { TenantFiles } from '@tiercel/storage';

export interface Backends {
  /** In the order of preference. */
  readonly tiers: readonly Tier[];
  readonly pools: readonly ComfyUiBackend[];
  /** Of the embedded executor; undefined when no tier uses it. */
  readonly registry: NodeRegistry | undefined;
  /** Whether the sketch generator stands in for models. */
  readonly isSketching: boolean;
  /** Checkpoint names that image services stand for; undefined when there are no such tiers. */
  readonly checkpoints: readonly string[] | undefined;
}

/** Silence after which a server is asked whether it still has the prompt. */
const CHECK_MS = 5_000;
/** A server may be away this long (a restart) before its prompt is given up. */
const LOST_AFTER_MS = 8_000;
/** A job waits this long for a server that can run it when none is up. */
const UNAVAILABLE_MS = 300_000;

/** Of the memory for pictures: what several ordinary jobs share; one job may have the rest. */
const COMMON_SHARE = 3 / 8;
/** For all servers of all pools to be asked once what they can do. */
const FIRST_LOOK_MS = 20_000;
/** For the modules of NODES_DIR, which may do anything while they are imported. */
const IMPORT_MS = 60_000;

async function loadInTime(nodesDir: string): Promise<NodeDefinition[]> {
  const plugins = await inTime(loadPlugins(nodesDir), IMPORT_MS);
  if (plugins !== LATE) return plugins;
  const message = `The modules of NODES_DIR were not imported within ${IMPORT_MS / 1000} s.`;
  throw new AppError('node_plugin_invalid', message);
}

/** Builds the configured tiers. */
export async function createBackends(
  parts: RunningProcess,
  workerId: WorkerId,
  files: TenantFiles,
  secretKey: Uint8Array,
): Promise<Backends> {
  const { config, redis, names, log, lifecycle } = parts;
  const tierConfigs = withEmbedded(tiersOfPool(config));
  const isSketching = tierConfigs.every(({ driver }) => driver === 'embedded');
  const services = tierConfigs.filter(isServiceTier);
  const plugins = config.nodesDir === undefined ? [] : await loadInTime(config.nodesDir);
  const registry = createRegistry([...createBuiltinNodes(), ...plugins]);
  const { maxPixels, pictureMemoryBytes } = config.worker;
  const filesOf = (tenant: string) => files.of(tenant);
  const executor = {
    ...{ registry, filesOf, maxPixels },
    memory: new MemoryBudget({
      maxBytes: pictureMemoryBytes,
      commonShare: COMMON_SHARE,
      setting: 'worker.pictureMemoryBytes',
    }),
    cache: new NodeCache({ maxBytes: config.worker.cacheBytes }),
  };
  const pools: ComfyUiBackend[] = [];
  const create = (tier: TierConfig): Backend => {
    const { name, driver } = tier;
    const timeoutMs = tier.timeoutMs ?? TIER_RULES[driver].timeoutMs;
    const base = { name, driver, timeoutMs };
    if (driver === 'embedded') {
      return createEmbeddedBackend({ ...base, ...executor, sketches: isSketching });
    }
    if (isServiceTier(tier)) {
      return createServiceBackend({
        ...base,
        ...executor,
        service: createImageService(tier),
        mayOmit: new Set(config.fallback.mayOmit),
        cacheModel: config.cache.enabled
          ? describeModel(tier, config.fallback.mayOmit, secretKey)
          : undefined,
        checkpoints: tier.checkpoints.length === 0 ? undefined : new Set(tier.checkpoints),
      });
    }
    const pool = createComfyUiBackend({
      ...base,
      ...{ urls: tier.urls, filesOf, redis, log },
      clientId: `tiercel-${workerId}`,
      secretKey,
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
  const tiers = tierConfigs.map((tier): Tier => {
    const { quality, hedge, concurrency = TIER_RULES[tier.driver].concurrency } = tier;
    return { backend: create(tier), quality, concurrency, hedge };
  });
  // A server that hangs is there when it answers; the start does not depend on it.
  await inTime(Promise.all(pools.map((pool) => pool.ready())), FIRST_LOOK_MS);
  const usesRegistry = services.length > 0 || tierConfigs.some((t) => t.driver === 'embedded');
  return {
    tiers,
    pools,
    registry: usesRegistry ? registry : undefined,
    isSketching,
    checkpoints: services.length === 0 ? undefined : services.flatMap((tier) => tier.checkpoints),
  };
}

/** The tiers that workers of its pool use. */
function tiersOfPool({ tiers, pools, worker }: Config): readonly TierConfig[] {
  const used = pools[worker.pool]?.tiers;
  return tiers.filter(({ name }) => used?.includes(name) !== false);
}

/** Beside image services the worker itself runs graphs that sample nothing. */
function withEmbedded(tiers: readonly TierConfig[]): readonly TierConfig[] {
  const needs = tiers.some(isServiceTier) && tiers.every(({ driver }) => driver !== 'embedded');
  if (!needs) return tiers;
  const taken = tiers.some(({ name }) => name === 'embedded');
  const embedded: TierConfig = {
    name: taken ? 'tiercel-embedded' : 'embedded',
    driver: 'embedded',
    urls: [],
    hedge: false,
    checkpoints: [],
  };
  return [...tiers, embedded];
}

/** All that decides what a tier paints; undefined when a server may paint with any model it likes. */
function describeModel(
  tier: TierConfig,
  mayOmit: readonly string[],
  secretKey: Uint8Array,
): string | undefined {
  const { driver, url = '', urls, model } = tier;
  if (driver === 'automatic1111' && model === undefined) return undefined;
  const servers = [url, ...urls].map((server) => toPublicUrl(server, secretKey));
  return [driver, ...servers, model ?? '', ...mayOmit].join(' ');
}

type ServiceDriver = Exclude<TierDriver, 'comfyui' | 'embedded'>;

function isServiceTier(tier: TierConfig): tier is TierConfig & { driver: ServiceDriver } {
  return tier.driver !== 'comfyui' && tier.driver !== 'embedded';
}

/** The driver of a tier that is an image service. The configuration has seen to what it must name. */
function createImageService(tier: TierConfig & { driver: ServiceDriver }): ImageService {
  const rule = TIER_RULES[tier.driver];
  const { urls, url = rule.url ?? '', apiKey, accountId = '', model = rule.model } = tier;
  switch (tier.driver) {
    case 'openai':
      return createOpenAiService({ url, apiKey: apiKey ?? '', model: model ?? '' });
    case 'cloudflare':
      return createCloudflareService({ url, accountId, apiKey: apiKey ?? '', model: model ?? '' });
    case 'automatic1111':
      return createAutomatic1111Service({ url, apiKey, model });
    case 'turbo':
      return createTurboService({ urls, model, clock: systemClock });
    case 'pollinations':
      return createPollinationsService({ url, apiKey, model: model ?? '' });
  }
}
