import { ANONYMOUS_PLAN, type RedisNames } from '@tiercel/contracts';
import {
  DEFAULT_PLANS,
  CoalescedRefresh,
  type Config,
  type Logger,
  type Redis,
} from '@tiercel/runtime';
import type { ChangeWatch } from '../change-watch.ts';
import type { Actor } from '../keys/key-store.ts';
import { setPolicyScript } from '../lua/set-policy.ts';
import { mergeSettings, resolvePlan, type EffectivePlan } from './effective-plan.ts';
import {
  POLICY_KINDS,
  POLICY_SCHEMAS,
  type PolicyKind,
  type PolicySetting,
} from './policy-kinds.ts';

export interface PolicyStoreParts {
  readonly redis: Redis;
  readonly names: RedisNames;
  readonly watch: ChangeWatch;
  readonly config: Pick<Config, 'plans' | 'tiers' | 'pools' | 'auth'>;
  readonly log: Logger;
}

/** One thing as an administrator sees it: who said what of it. */
export interface PolicyView<Kind extends PolicyKind> {
  /** By the file and the defaults; undefined: they do not know it. */
  readonly file: PolicySetting<Kind> | undefined;
  /** By an administrator; undefined: nothing. */
  readonly override: PolicySetting<Kind> | undefined;
  /** What counts. */
  readonly effective: PolicySetting<Kind>;
}

type Settings = { readonly [Kind in PolicyKind]: ReadonlyMap<string, PolicySetting<Kind>> };

/**
 * Plans, tenants, tiers and pools: what the file says of them, and what administrators have set since, durable in
 * Redis. Each process has a copy that is never older than a second while Redis answers, and the last known one else.
 */
export class PolicyStore {
  readonly #parts: PolicyStoreParts;
  readonly #file: Settings;
  #overrides: Settings;
  /** Worked out since the overrides were read: of plans by name, and of tenants with overrides of their own. */
  readonly #plans = new Map<string, EffectivePlan>();
  readonly #reload: CoalescedRefresh;
  readonly #listeners = new Set<() => void>();
  #stopWatching: (() => void) | undefined;

  constructor(parts: PolicyStoreParts) {
    this.#parts = parts;
    this.#file = readFileSettings(parts.config);
    this.#overrides = emptySettings();
    this.#reload = new CoalescedRefresh(() => this.#tryReload());
  }

  /** Resolves when what is set is known. */
  async start(): Promise<void> {
    this.#stopWatching = this.#parts.watch.onChange('policy', () => {
      void this.#reload.run();
    });
    await this.#readOverrides();
  }

  stop(): void {
    this.#stopWatching?.();
  }

  /**
   * @param listener called when something has been set, here or elsewhere, and is in effect here
   * @returns how to stop listening
   */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** Names that the file, the defaults or an administrator know, sorted. */
  listNames(kind: PolicyKind): string[] {
    return [...new Set([...this.#file[kind].keys(), ...this.#overrides[kind].keys()])].sort();
  }

  read<Kind extends PolicyKind>(kind: Kind, name: string): PolicyView<Kind> {
    const file = this.#file[kind].get(name);
    const override = this.#overrides[kind].get(name);
    const layers = [file, override].filter((layer) => layer !== undefined);
    const effective = mergeSettings<PolicySetting<Kind>>(layers);
    return { file, override, effective };
  }

  /**
   * Sets what counts over the file's word, for every process. Resolves when it is in effect here.
   * @throws ZodError when it cannot be
   */
  async set<Kind extends PolicyKind>(
    kind: Kind,
    name: string,
    setting: PolicySetting<Kind>,
    actor: Actor,
  ): Promise<void> {
    await this.#write(kind, name, JSON.stringify(POLICY_SCHEMAS[kind].parse(setting)), actor);
  }

  /** Takes back what was set: the file's word counts again. */
  async reset(kind: PolicyKind, name: string, actor: Actor): Promise<void> {
    await this.#write(kind, name, '', actor);
  }

  /** What a tenant may use whose identity names this plan; undefined as a plan is no limits. */
  effectivePlan(tenant: string, plan: string | undefined): EffectivePlan {
    const { overrides } = this.#overrides.tenants.get(tenant) ?? {};
    const name = this.planOf(tenant, plan);
    // A plan that nobody knows any more (or never did) is not one without limits.
    const known = name === undefined || this.isPlan(name) ? name : ANONYMOUS_PLAN;
    const key = JSON.stringify([known, overrides === undefined ? undefined : tenant]);
    let resolved = this.#plans.get(key);
    if (resolved === undefined) {
      const set = known === undefined ? {} : this.read('plans', known).effective;
      resolved = resolvePlan([set, overrides ?? {}]);
      this.#plans.set(key, resolved);
    }
    return resolved;
  }

  /** Name of the plan that counts for a tenant: what an administrator has set, else what its key or token says. */
  planOf(tenant: string, plan: string | undefined): string | undefined {
    return this.#overrides.tenants.get(tenant)?.plan ?? plan;
  }

  isPlan(name: string): boolean {
    return this.#file.plans.has(name) || this.#overrides.plans.has(name);
  }

  isBlocked(tenant: string): boolean {
    return this.#overrides.tenants.get(tenant)?.blocked === true;
  }

  async #write(kind: PolicyKind, name: string, value: string, actor: Actor): Promise<void> {
    const { redis, names, config } = this.#parts;
    await setPolicyScript.run(redis, {
      ...{ set: names.policySet(kind), prefix: names.prefix, kind, name, value },
      ...{ who: actor.who, from: actor.from, audit_max: config.auth.auditMaxEntries },
    });
    await this.#reload.run();
  }

  async #tryReload(): Promise<void> {
    try {
      await this.#readOverrides();
    } catch (error) {
      // The watch looks again within a second, but sees no other version then: so look at it here.
      this.#parts.log.warn({ err: error }, 'what administrators have set could not be read');
      setTimeout(() => {
        void this.#reload.run();
      }, RETRY_MS).unref();
    }
  }

  async #readOverrides(): Promise<void> {
    const { redis, names } = this.#parts;
    const hashes = await Promise.all(
      POLICY_KINDS.map((kind) => redis.hgetall(names.policySet(kind))),
    );
    const read = POLICY_KINDS.map((kind, index) => [kind, this.#parse(kind, hashes[index] ?? {})]);
    // One map for each kind, parsed by the schema of that kind.
    this.#overrides = Object.fromEntries(read) as Settings;
    this.#plans.clear();
    for (const listener of [...this.#listeners]) listener();
  }

  #parse(kind: PolicyKind, hash: Readonly<Record<string, string>>): Map<string, unknown> {
    const settings = new Map<string, unknown>();
    for (const [name, text] of Object.entries(hash)) {
      const parsed = POLICY_SCHEMAS[kind].safeParse(parseText(text));
      if (parsed.success) settings.set(name, parsed.data);
      else this.#parts.log.warn({ kind, policy: name }, 'a setting of an administrator is void');
    }
    return settings;
  }
}

const RETRY_MS = 500;

function parseText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function emptySettings(): Settings {
  return { plans: new Map(), tenants: new Map(), tiers: new Map(), pools: new Map() };
}

function readFileSettings({
  plans,
  tiers,
  pools,
}: Omit<PolicyStoreParts['config'], 'auth'>): Settings {
  const names = new Set([...Object.keys(DEFAULT_PLANS), ...Object.keys(plans)]);
  const defaults = new Map(Object.entries(DEFAULT_PLANS));
  const own = new Map(Object.entries(plans));
  return {
    ...emptySettings(),
    pools: new Map(Object.entries(pools)),
    plans: new Map(
      [...names].map((name) => [
        name,
        mergeSettings([defaults.get(name) ?? {}, own.get(name) ?? {}]),
      ]),
    ),
    tiers: new Map(
      tiers.map(({ name, concurrency }) => [
        name,
        { enabled: true, ...(concurrency === undefined ? {} : { concurrency }) },
      ]),
    ),
  };
}

/** Names of all plans: of the defaults, of the file, and of administrators; for who needs no more. */
export async function readPlanNames(
  redis: Redis,
  names: RedisNames,
  config: PolicyStoreParts['config'],
): Promise<string[]> {
  const set = await redis.hkeys(names.policySet('plans'));
  return [...new Set([...readFileSettings(config).plans.keys(), ...set])].sort();
}
