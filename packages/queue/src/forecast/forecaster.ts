import { DEFAULT_TENANT, jobIdOf, type RedisNames } from '@tiercel/contracts';
import type { Redis } from '@tiercel/runtime';
import { readLoadScript } from '../lua/read-load.ts';
import { readPlacesScript } from '../lua/read-places.ts';
import { Forecast, type Estimate } from './forecast.ts';
import type { Load } from './load.ts';

/** What is read of all tenants serves for so long; not while no job has run: the first one changes everything. */
const LOAD_MS = 1_000;
/** Jobs that one script looks for. */
const BATCH = 200;

/** Says of waiting and running jobs where they stand, and when they are expected to start and to end. */
export class Forecaster {
  readonly #redis: Redis;
  readonly #names: RedisNames;
  readonly #hands: () => number;
  #load: Promise<Load> | undefined;
  #readAt = -Infinity;

  /** @param dependencies.hands jobs that the live workers together run at once; 0 when nobody takes any */
  constructor(dependencies: { redis: Redis; names: RedisNames; hands: () => number }) {
    this.#redis = dependencies.redis;
    this.#names = dependencies.names;
    this.#hands = dependencies.hands;
  }

  /**
   * @param ids as their callers know them
   * @returns by id, of those that wait or run
   */
  async estimate(
    ids: readonly string[],
    tenant = DEFAULT_TENANT,
  ): Promise<ReadonlyMap<string, Estimate>> {
    const found = new Map<string, Estimate>();
    for (let at = 0; at < ids.length; at += BATCH) {
      const some = ids.slice(at, at + BATCH);
      const [load, places] = await Promise.all([
        this.#readLoad(),
        readPlacesScript.run(this.#redis, {
          ...{ prefix: this.#names.prefix, tenant },
          ids: some.map((id) => jobIdOf(tenant, id)),
        }),
      ]);
      const forecast = new Forecast(tenant, this.#hands(), load, places);
      for (const [index, id] of some.entries()) {
        const place = places.jobs[index];
        if (place !== undefined) found.set(id, forecast.estimate(place));
      }
    }
    return found;
  }

  #readLoad(): Promise<Load> {
    const now = performance.now();
    if (this.#load !== undefined && now - this.#readAt < LOAD_MS) return this.#load;
    this.#readAt = now;
    const reading = readLoadScript.run(this.#redis, { prefix: this.#names.prefix });
    this.#load = reading;
    const forget = () => {
      if (this.#load === reading) this.#load = undefined;
    };
    reading.then(({ runs }) => {
      if (runs.length === 0) forget();
    }, forget);
    return reading;
  }
}
