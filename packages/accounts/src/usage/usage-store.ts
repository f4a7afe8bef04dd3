import type { RedisNames } from '@tiercel/contracts';
import type { Redis } from '@tiercel/runtime';

/** What was used of one tier, by a tenant on a day or by several together. */
export interface TierUsage {
  /** Undefined: jobs for which none was tried. */
  readonly tier: string | undefined;
  /** Jobs by their outcome, where they were served or tried last. */
  readonly success: number;
  readonly error: number;
  readonly interrupted: number;
  /** Of attempts, also of those that failed. */
  readonly runMs: number;
  readonly images: number;
  readonly pixels: number;
  /** In millionths. */
  readonly costMicros: number;
}

export interface UsageRow extends TierUsage {
  readonly tenant: string;
  /** YYYY-MM-DD, UTC. */
  readonly day: string;
}

/** The rows of tenants on days, by day, then by tenant. */
export interface UsagePage {
  readonly rows: readonly UsageRow[];
  /** Where the next page goes on; undefined: this was the last one. */
  readonly next: string | undefined;
}

export interface TopTenant {
  readonly tenant: string;
  readonly runMs: number;
  readonly costMicros: number;
}

const NOTHING = {
  ...{ success: 0, error: 0, interrupted: 0 },
  ...{ runMs: 0, images: 0, pixels: 0, costMicros: 0 },
};
type Counter = keyof typeof NOTHING;

/** Counters as count-usage.lua (packages/queue) names them. */
const COUNTERS: Readonly<Record<string, Counter>> = {
  ...{ success: 'success', error: 'error', interrupted: 'interrupted' },
  ...{ run_ms: 'runMs', images: 'images', pixels: 'pixels', cost: 'costMicros' },
};
/** Tenants that an export reads at once. */
const TENANTS_AT_ONCE = 500;

/** What tenants have used and spent. Only read here: jobs are counted by the step that ends them. */
export class UsageStore {
  readonly #redis: Redis;
  readonly #names: RedisNames;

  constructor(redis: Redis, names: RedisNames) {
    this.#redis = redis;
    this.#names = names;
  }

  /** YYYY-MM-DD by the clock that counts. */
  async readToday(): Promise<string> {
    const [seconds] = await this.#redis.time();
    return new Date(Number(seconds) * 1_000).toISOString().slice(0, 10);
  }

  /** What a tenant used, by day and tier. */
  async readTenant(tenant: string, days: readonly string[]): Promise<UsageRow[]> {
    const keys = days.map((day) => this.#names.usage(day, tenant));
    const hashes = await Promise.all(keys.map((key) => this.#redis.hgetall(key)));
    return hashes.flatMap((hash, index) =>
      parseUsage(hash).map((usage) => ({ tenant, day: days[index] ?? '', ...usage })),
    );
  }

  /** What all tenants used together, by tier. */
  async readTotals(days: readonly string[]): Promise<TierUsage[]> {
    const keys = days.map((day) => this.#names.usageTotal(day));
    const hashes = await Promise.all(keys.map((key) => this.#redis.hgetall(key)));
    return sumByTier(hashes.flatMap(parseUsage));
  }

  /**
   * @param limit tenants and days in a page
   * @param after `next` of the page before
   */
  async readPage(days: readonly string[], limit: number, after?: string): Promise<UsagePage> {
    const [, startDay, startTenant = ''] = /^(\d{4}-\d\d-\d\d):([^]*)$/.exec(after ?? '') ?? [];
    const found: { readonly day: string; readonly tenant: string }[] = [];
    for (const day of days) {
      if (startDay !== undefined && day < startDay) continue;
      const first = day === startDay ? `(${startTenant}` : '-';
      const tenants = await this.#redis.zrange(
        ...([this.#names.usageTenants(day, 'name'), first, '+', 'BYLEX'] as const),
        ...(['LIMIT', 0, limit - found.length] as const),
      );
      found.push(...tenants.map((tenant) => ({ day, tenant })));
      if (found.length >= limit) break;
    }
    const rows = await Promise.all(found.map(({ day, tenant }) => this.readTenant(tenant, [day])));
    const last = found.at(-1);
    const isFull = last !== undefined && found.length >= limit;
    return { rows: rows.flat(), next: isFull ? `${last.day}:${last.tenant}` : undefined };
  }

  /** All rows, some at a time. */
  async *export(days: readonly string[]): AsyncGenerator<readonly UsageRow[]> {
    let after: string | undefined;
    do {
      const page = await this.readPage(days, TENANTS_AT_ONCE, after);
      if (page.rows.length > 0) yield page.rows;
      after = page.next;
    } while (after !== undefined);
  }

  /** The tenants that cost most, or ran longest. */
  async readTop(days: readonly string[], by: 'cost' | 'ran', limit: number): Promise<TopTenant[]> {
    const sums = { cost: new Map<string, number>(), ran: new Map<string, number>() };
    for (const day of days) {
      for (const kind of ['cost', 'ran'] as const) {
        for (const [tenant, amount] of await this.#readScores(day, kind)) {
          sums[kind].set(tenant, (sums[kind].get(tenant) ?? 0) + amount);
        }
      }
    }
    const top = [...sums[by]].sort(([, a], [, b]) => b - a).slice(0, limit);
    return top.map(([tenant]) => ({
      tenant,
      runMs: sums.ran.get(tenant) ?? 0,
      costMicros: sums.cost.get(tenant) ?? 0,
    }));
  }

  /** What a tenant has spent in the present day and month, in millionths. */
  async readSpent(tenant: string, today: string): Promise<{ readonly day: number; month: number }> {
    const [day, month] = await this.#redis.mget(
      this.#names.spent(today, tenant),
      this.#names.spent(today.slice(0, 7), tenant),
    );
    return { day: Number(day ?? 0), month: Number(month ?? 0) };
  }

  /** A scan tells a member twice when the set changes meanwhile. */
  async #readScores(day: string, by: 'cost' | 'ran'): Promise<Map<string, number>> {
    const scores = new Map<string, number>();
    const key = this.#names.usageTenants(day, by);
    for (let cursor = '0'; ;) {
      const [next, pairs] = await this.#redis.zscan(key, cursor, 'COUNT', 1_000);
      for (let i = 0; i + 1 < pairs.length; i += 2)
        scores.set(pairs[i] ?? '', Number(pairs[i + 1]));
      if (next === '0') return scores;
      cursor = next;
    }
  }
}

/** Fields `<tier>:<counter>`; no tier's name has a colon. */
function parseUsage(hash: Readonly<Record<string, string>>): TierUsage[] {
  const tiers = new Map<string, Record<Counter, number>>();
  for (const [field, amount] of Object.entries(hash)) {
    const [tier = '', name = ''] = field.split(':');
    const counter = COUNTERS[name];
    if (counter === undefined) continue;
    const counts = tiers.get(tier) ?? { ...NOTHING };
    counts[counter] = Number(amount);
    tiers.set(tier, counts);
  }
  return [...tiers]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([tier, counts]) => ({ tier: tier === '' ? undefined : tier, ...counts }));
}

/** All together, whatever the tier. */
export function sumUsage(rows: readonly TierUsage[]): TierUsage {
  const nothing: TierUsage = { tier: undefined, ...NOTHING };
  return rows.reduce((sum, row) => addUsage(sum, { ...row, tier: undefined }), nothing);
}

/** One for each tier. */
export function sumByTier(rows: readonly TierUsage[]): TierUsage[] {
  const tiers = new Map<string | undefined, TierUsage>();
  for (const row of rows) tiers.set(row.tier, addUsage(tiers.get(row.tier), row));
  return [...tiers.values()];
}

/** The sum of two, under the tier of the second. */
function addUsage(sum: TierUsage | undefined, usage: TierUsage): TierUsage {
  const counters = Object.keys(NOTHING) as Counter[]; // its own keys
  const counts = counters.map((name) => [name, (sum?.[name] ?? 0) + usage[name]]);
  return { tier: usage.tier, ...(Object.fromEntries(counts) as typeof NOTHING) };
}
