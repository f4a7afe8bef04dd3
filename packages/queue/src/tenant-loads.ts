import { DEFAULT_TENANT, unscoped, type RedisNames } from '@tiercel/contracts';
import type { Redis } from '@tiercel/runtime';
import { readTenantLoadsScript } from './lua/read-tenant-loads.ts';

export interface TenantLoad {
  readonly tenant: string;
  /** That its last job was posted with; undefined for one without limits. */
  readonly plan: string | undefined;
  readonly pending: number;
  readonly running: number;
}

/** Tenants that one script looks at: it is over in less than a millisecond. */
const AT_ONCE = 500;

/** What each tenant has in the queue: for operators. It costs what there are tenants with jobs. */
export class TenantLoads {
  readonly #redis: Redis;
  readonly #names: RedisNames;

  constructor(redis: Redis, names: RedisNames) {
    this.#redis = redis;
    this.#names = names;
  }

  /** All tenants that have jobs in the queue, in no order. */
  async read(): Promise<TenantLoad[]> {
    const tenants = await this.#list();
    const loads: TenantLoad[] = [];
    for (let at = 0; at < tenants.length; at += AT_ONCE) {
      const ids = tenants.slice(at, at + AT_ONCE);
      const { prefix } = this.#names;
      const found = await readTenantLoadsScript.run(this.#redis, { prefix, ids });
      for (const [index, tenant] of ids.entries()) {
        const load = found[index];
        if (load !== undefined && load.pending + load.running > 0) loads.push({ tenant, ...load });
      }
    }
    return loads;
  }

  /** Of a job that waits, and is not ready, another of its client runs, or its answer is on its way. */
  async #list(): Promise<string[]> {
    const { waitingTenants, running, unreleased, ofAll } = this.#names;
    const [jobs, ...ready] = await Promise.all([
      Promise.all([...ofAll(running), unreleased].map((set) => this.#redis.zrange(set, 0, '-1'))),
      ...waitingTenants.map((set) => this.#redis.zrange(set, 0, '-1')),
    ]);
    const owners = jobs.flat().map((id) => unscoped(id).tenant);
    return [...new Set([DEFAULT_TENANT, ...ready.flat(), ...owners])];
  }
}
