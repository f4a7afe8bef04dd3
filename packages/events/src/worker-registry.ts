import {
  describeFleet,
  workerCapabilitiesSchema,
  workerProfileSchema,
  stringifyJson,
  type Fleet,
  type WorkerCapabilities,
  type WorkerProfile,
  type RedisNames,
} from '@tiercel/contracts';
import type { Redis } from '@tiercel/runtime';
import { announceScript } from './lua/announce.ts';
import { readFleetScript } from './lua/read-fleet.ts';
import { withdrawScript } from './lua/withdraw.ts';

/** A worker that has not spoken for this long is gone. */
const HEARTBEAT_TTL_MS = 15_000;
/** Catalogues of workers long gone are dropped after this. */
const CATALOGUE_TTL_MS = 30 * 86_400_000;
/** Catalogues last seen this close together were offered side by side: together they are the last known. */
const LAST_KNOWN_WINDOW_MS = 60_000;

/** A worker that is gone may be about to come back for this long: jobs that only it can run wait for it. */
const KNOWN_MS = 600_000;

/** What a worker can run, and its name. */
export interface NamedProfile {
  /** Hexadecimal; equal profiles have the same. */
  readonly id: string;
  readonly profile: WorkerProfile;
  /** It starts no more jobs. */
  readonly isDrained?: boolean;
}

/** Which workers there are. */
export interface KnownFleet extends Fleet {
  /** Hashes of the catalogues of workers that are not up. */
  readonly awayCatalogues: readonly string[];
}

/** Capabilities as they are read: nothing is left out. */
export type LiveWorker = ReturnType<typeof workerCapabilitiesSchema.parse>;

/** What workers say of themselves, kept in Redis. Workers write it, API processes read it. */
export class WorkerRegistry {
  readonly #redis: Redis;
  readonly #names: RedisNames;
  /** By id; a profile never changes under its id. */
  #profiles = new Map<string, WorkerProfile>();

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
  async heartbeat(
    capabilities: WorkerCapabilities,
    { id, profile, isDrained = false }: NamedProfile,
    notify: boolean,
  ): Promise<void> {
    const key = this.#names.profile(id);
    // As the catalogue: written when it is missing only.
    if ((await this.#redis.exists(key)) === 0) await this.#redis.set(key, JSON.stringify(profile));
    await announceScript.run(this.#redis, {
      prefix: this.#names.prefix,
      worker: capabilities.workerId,
      text: stringifyJson(capabilities),
      ttl_ms: HEARTBEAT_TTL_MS,
      catalogue: capabilities.catalogueHash,
      catalogue_ttl_ms: CATALOGUE_TTL_MS,
      is_news: notify ? 1 : 0,
      profile: id,
      known_ms: KNOWN_MS,
      is_drained: isDrained ? 1 : 0,
    });
  }

  /** A worker that stops says so; its catalogue stays. */
  async withdraw(workerId: string): Promise<void> {
    await withdrawScript.run(this.#redis, { prefix: this.#names.prefix, worker: workerId });
  }

  /** Which workers are up or may come back, as far as it decides who runs what. */
  async readFleet(): Promise<KnownFleet> {
    const members = await readFleetScript.run(this.#redis, {
      prefix: this.#names.prefix,
      ttl_ms: HEARTBEAT_TTL_MS,
      known_ms: KNOWN_MS,
    });
    const ids = [...new Set(members.map(({ profile }) => profile))];
    this.#profiles = new Map(await this.#readProfiles(ids));
    const fleet = describeFleet(
      [...this.#profiles].map(([id, profile]) => {
        const all = members.filter((member) => member.profile === id);
        const live = all.filter(({ isLive }) => isLive);
        const isDrained = (live.length > 0 ? live : all).every((member) => member.isDrained);
        return { id, profile, isLive: live.length > 0, isDrained };
      }),
    );
    const away = members.flatMap((m) => (m.isLive ? [] : [m.catalogue]));
    return { ...fleet, awayCatalogues: [...new Set(away)] };
  }

  /** One that cannot be read (another version's) is passed over. */
  async #readProfiles(ids: readonly string[]): Promise<[string, WorkerProfile][]> {
    const missing = ids.filter((id) => !this.#profiles.has(id));
    const texts =
      missing.length === 0
        ? []
        : await this.#redis.mget(...missing.map((id) => this.#names.profile(id)));
    const read = new Map<string, WorkerProfile>();
    for (const [index, id] of missing.entries()) {
      const text = texts[index];
      const parsed = workerProfileSchema.safeParse(
        typeof text === 'string' ? JSON.parse(text) : undefined,
      );
      if (parsed.success) read.set(id, parsed.data);
    }
    return ids.flatMap((id) => {
      const profile = read.get(id) ?? this.#profiles.get(id);
      return profile === undefined ? [] : [[id, profile]];
    });
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
