import {
  workerCapabilitiesSchema,
  stringifyJson,
  type WorkerCapabilities,
  type RedisNames,
} from '@tiercel/contracts';
import type { Redis } from '@tiercel/runtime';
import { announceScript } from './lua/announce.ts';

/** A worker that has not spoken for this long is gone. */
const HEARTBEAT_TTL_MS = 15_000;
/** Catalogues of workers long gone are dropped after this. */
const CATALOGUE_TTL_MS = 30 * 86_400_000;
/** Catalogues last seen this close together were offered side by side: together they are the last known. */
const LAST_KNOWN_WINDOW_MS = 60_000;

/** Capabilities as they are read: nothing is left out. */
export type LiveWorker = ReturnType<typeof workerCapabilitiesSchema.parse>;

/** What workers say of themselves, kept in Redis. Workers write it, API processes read it. */
export class WorkerRegistry {
  readonly #redis: Redis;
  readonly #names: RedisNames;

  constructor(redis: Redis, names: RedisNames) {
    this.#redis = redis;
    this.#names = names;
  }

  /**
   * Keeps a node catalogue (object_info as JSON text) beyond the life of the worker that offers it.
   * Written when it is missing only: a Redis that lost its data gets it back, its log does not grow.
   */
  async putCatalogue(hash: string, text: string): Promise<void> {
    if ((await this.#redis.exists(this.#names.catalogue(hash))) === 1) return;
    await this.#redis.set(this.#names.catalogue(hash), text);
  }

  /** One heartbeat. With `notify` the API processes read it at once; without it at their next refresh. */
  async heartbeat(capabilities: WorkerCapabilities, notify: boolean): Promise<void> {
    await announceScript.run(this.#redis, {
      prefix: this.#names.prefix,
      worker: capabilities.workerId,
      text: stringifyJson(capabilities),
      ttl_ms: HEARTBEAT_TTL_MS,
      catalogue: capabilities.catalogueHash,
      catalogue_ttl_ms: CATALOGUE_TTL_MS,
      is_news: notify ? 1 : 0,
    });
  }

  /** A worker that stops says so; its catalogue stays. */
  async withdraw(workerId: string): Promise<void> {
    await this.#redis
      .pipeline()
      .del(this.#names.worker(workerId))
      .zrem(this.#names.workers, workerId)
      .publish(this.#names.workersChannel, workerId)
      .exec();
  }

  /** Workers that are up; one that cannot be read (another version's) is passed over. */
  async readLive(): Promise<LiveWorker[]> {
    const ids = await this.#redis.zrange(this.#names.workers, 0, '-1');
    if (ids.length === 0) return [];
    const texts = await this.#redis.mget(...ids.map((id) => this.#names.worker(id)));
    return texts.flatMap((text) => {
      if (text === null) return [];
      const parsed = workerCapabilitiesSchema.safeParse(JSON.parse(text));
      return parsed.success ? [parsed.data] : [];
    });
  }

  /** Hashes of the catalogues that were on offer last, when no worker is up. */
  async readLastKnownHashes(): Promise<string[]> {
    const newest = await this.#redis.zrange(this.#names.lastCatalogues, '-1', '-1', 'WITHSCORES');
    const score = newest[1];
    if (score === undefined) return [];
    return await this.#redis.zrangebyscore(
      this.#names.lastCatalogues,
      Number(score) - LAST_KNOWN_WINDOW_MS,
      '+inf',
    );
  }

  async readCatalogue(hash: string): Promise<string | null> {
    return await this.#redis.get(this.#names.catalogue(hash));
  }
}
