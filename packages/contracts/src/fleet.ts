import { z } from 'zod';

/** Which jobs the workers of a pool take. What is not named is not asked for. */
const poolRulesSchema = z.object({
  name: z.string(),
  /** The first-named go first. */
  plans: z.array(z.string()).optional(),
  /** A job uses one of these node classes at least; `*` stands for any text. */
  nodes: z.array(z.string()).optional(),
  /** A job names one of these model files at least; `*` stands for any text. */
  models: z.array(z.string()).optional(),
  /** What a job may be expected to cost, in ms of run time. */
  maxCostMs: z.number().optional(),
});
export type PoolRules = z.infer<typeof poolRulesSchema>;

/** What a worker can run, as far as it decides which jobs it gets. Workers with the same profile are alike. */
export const workerProfileSchema = z.object({
  pool: poolRulesSchema,
  /** Names of its tiers. */
  tiers: z.array(z.string()),
  /** Node classes that it has; empty while it does not know them yet. */
  classes: z.array(z.string()),
});
export type WorkerProfile = z.infer<typeof workerProfileSchema>;

/** A profile of a worker that is up, or was not long ago. */
export interface KnownProfile {
  /** Hexadecimal. */
  readonly id: string;
  /** Whether such a worker is up. */
  readonly isLive: boolean;
  /** Its workers start no more jobs, and those there are are for others. */
  readonly isDrained?: boolean;
  readonly profile: WorkerProfile;
}

/** The workers that are known. */
export interface Fleet {
  /** Another one whenever they can run other jobs; '' while they are all alike and take any job. */
  readonly signature: string;
  readonly profiles: readonly KnownProfile[];
}

/** What of a job decides which workers it is for. */
export const jobNeedsSchema = z.object({
  /** Node classes, each once, sorted. */
  classes: z.array(z.string()),
  /** Model files that it names. */
  models: z.array(z.string()),
  plan: z.string().optional(),
  /** The pool that its plan names. */
  pool: z.string().optional(),
  /** The tiers that its plan allows. */
  tiers: z.array(z.string()).optional(),
  /** What it is expected to cost, in ms of run time. */
  costMs: z.number().optional(),
});
export type JobNeeds = z.infer<typeof jobNeedsSchema>;

/** @param profiles of known workers, by id */
export function describeFleet(profiles: readonly KnownProfile[]): Fleet {
  const sorted = [...profiles].sort((a, b) => (a.id < b.id ? -1 : 1));
  const [first, ...others] = sorted;
  // While all are drained nobody asks either: there are none that jobs could be for instead.
  const areAlike =
    first === undefined ||
    sorted.every(({ isDrained }) => isDrained === true) ||
    (others.length === 0 && !hasRules(first.profile.pool));
  const names = sorted.map(({ id, isDrained }) => (isDrained === true ? `${id}-` : id));
  return { signature: areAlike ? '' : names.join(','), profiles: sorted };
}

function hasRules({ plans, nodes, models, maxCostMs }: PoolRules): boolean {
  return [plans, nodes, models, maxCostMs].some((rule) => rule !== undefined);
}

/** Which workers a job is for. */
interface Judgement {
  /**
   * Their profiles, each with a rank, as `;<id>=<rank>;...;`: a worker takes what it ranks lower first. `''` for all
   * workers there are, `;` for none.
   */
  readonly kind: string;
  /** Every worker that can run it has declined it: each may be asked once more. */
  readonly isDeclinedByAll: boolean;
}

/** @param declined ids of profiles whose workers found that they cannot run it */
export function judgeJob(
  needs: JobNeeds,
  { profiles: known, signature }: Fleet,
  declined: readonly string[] = [],
): Judgement {
  const profiles = known.filter(({ isDrained }) => isDrained !== true);
  const able = profiles.flatMap(({ id, profile }) => {
    const rank = rankJob(needs, profile);
    return rank === undefined ? [] : [{ id, rank }];
  });
  const willing = able.filter(({ id }) => !declined.includes(id));
  const isDeclinedByAll = willing.length === 0 && able.length > 0;
  const chosen = isDeclinedByAll ? able : willing;
  const isForAll = chosen.length === profiles.length && chosen.every(({ rank }) => rank === 0);
  // While all are alike nobody is asked but the workers themselves.
  if (isForAll || (signature === '' && chosen.length > 0)) return { kind: '', isDeclinedByAll };
  return {
    kind: `;${chosen.map(({ id, rank }) => `${id}=${rank};`).join('')}`,
    isDeclinedByAll,
  };
}

/** Whether a worker that is up is one of those that a job is for. */
export function isServed(kind: string, { profiles }: Fleet): boolean {
  return profiles.some(
    ({ id, isLive, isDrained }) =>
      isLive && isDrained !== true && (kind === '' || kind.includes(`;${id}=`)),
  );
}

/** How workers of this profile rank a job, the lowest first; undefined when they do not take it. */
function rankJob(needs: JobNeeds, { pool, classes, tiers }: WorkerProfile): number | undefined {
  const { plans, nodes, models, maxCostMs } = pool;
  if (classes.length > 0 && !needs.classes.every((name) => classes.includes(name))) {
    return undefined;
  }
  if (needs.tiers?.some((name) => tiers.includes(name)) === false) return undefined;
  if (needs.pool !== undefined && needs.pool !== pool.name) return undefined;
  if (nodes !== undefined && !needs.classes.some((name) => isNamed(name, nodes))) return undefined;
  if (models !== undefined && !needs.models.some((name) => isNamed(name, models))) return undefined;
  if (maxCostMs !== undefined && (needs.costMs ?? 0) > maxCostMs) return undefined;
  if (plans === undefined || needs.plan === undefined) return 0;
  const rank = plans.indexOf(needs.plan);
  return rank === -1 ? undefined : rank;
}

function isNamed(name: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) => {
    const parts = pattern.split('*').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
    return new RegExp(`^${parts.join('.*')}$`, 's').test(name);
  });
}
