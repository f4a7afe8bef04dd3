import type { FallbackPolicy } from '@tiercel/contracts';
import type { BlamedNode, Support } from '../backend.ts';
import type { OverBudget } from '../spending/job-spending.ts';

/** What is known of a tier at the moment of choosing. Times are epoch milliseconds or durations in ms. */
export interface TierFacts {
  readonly name: string;
  /** Tiers with the same word are of equal quality; without one a tier is its own kind. */
  readonly quality: string | undefined;
  readonly support: Support;
  readonly breaker: {
    /** 0 when closed. Passed: the next attempt is a probe. */
    readonly openUntilMs: number;
    /** A probe is under way: the breaker is open for everybody else. */
    readonly probing: boolean;
    /** Why it opened, for a person. */
    readonly reason: string;
  };
  readonly running: number;
  readonly waiting: number;
  /** Attempts at once, over all workers; undefined for no limit. */
  readonly concurrency: number | undefined;
  /** Of recent successful attempts; undefined before the first. */
  readonly p50Ms: number | undefined;
  /** Why the job's tenant cannot pay for an attempt on it. */
  readonly overBudget?: OverBudget | undefined;
}

/** What matters of a job. */
export interface JobFacts {
  readonly policy: FallbackPolicy;
  /** Time left until the job's deadline. */
  readonly remainingMs: number;
  readonly tried: ReadonlySet<string>;
}

type SkipKind = 'unsupported' | 'policy' | 'tried' | 'budget' | 'open' | 'deadline';

export interface SkippedTier {
  readonly tier: string;
  readonly kind: SkipKind;
  readonly reason: string;
  /** `unsupported`: the node that is in the way. */
  readonly node?: BlamedNode;
  /** `open`, `budget`: when it may be asked again. */
  readonly retryAtMs?: number;
}

export interface TierChoice {
  /** Tiers to try, best first. */
  readonly order: readonly string[];
  /** The best tier for this graph were all in order: what serves instead of it is degraded. */
  readonly preferred: string | undefined;
  readonly skipped: readonly SkippedTier[];
}

/** How soon to ask again when another worker's probe is under way. */
const PROBE_POLL_MS = 100;

/**
 * Which tiers to try, in which order, and why not the others. Pure: the same facts give the same choice.
 * The configured order is the preference; facts change it as docs/fallback.md says.
 */
export function chooseTiers(job: JobFacts, tiers: readonly TierFacts[], nowMs: number): TierChoice {
  const skipped: SkippedTier[] = [];
  const capable = tiers.filter((tier) => {
    const { support } = tier;
    if (!support.ok) {
      const { reason, node } = support;
      skipped.push({ tier: tier.name, kind: 'unsupported', reason, ...(node && { node }) });
    }
    return support.ok;
  });
  const [preferred] = capable;
  if (preferred === undefined) return { order: [], preferred: undefined, skipped };

  const usable: TierFacts[] = [];
  const late: TierFacts[] = [];
  for (const tier of capable) {
    const obstacle =
      findPolicyObstacle(job, tier, preferred) ??
      findBudgetObstacle(tier, nowMs) ??
      findBreakerObstacle(tier, nowMs);
    if (obstacle !== undefined) skipped.push(obstacle);
    else if (expectMs(tier) > job.remainingMs) late.push(tier);
    else usable.push(tier);
  }
  // An expectation is no fact: it may choose among tiers, never fail a job.
  const [quickest, ...tooLate] = late.sort((a, b) => expectMs(a) - expectMs(b));
  if (quickest !== undefined) {
    if (usable.length === 0) usable.push(quickest);
    else tooLate.unshift(quickest);
  }
  for (const tier of tooLate) {
    const reason = `needs about ${Math.round(expectMs(tier))} ms, ${Math.round(job.remainingMs)} ms are left`;
    skipped.push({ tier: tier.name, kind: 'deadline', reason });
  }
  return {
    order: preferRoom(usable).map(({ name }) => name),
    preferred: preferred.name,
    skipped,
  };
}

/** Whether two tiers count as equally good. */
export function isSameQuality(
  a: Pick<TierFacts, 'name' | 'quality'>,
  b: Pick<TierFacts, 'name' | 'quality'>,
): boolean {
  return a.name === b.name || (a.quality !== undefined && a.quality === b.quality);
}

function findPolicyObstacle(
  { policy, tried }: JobFacts,
  tier: TierFacts,
  preferred: TierFacts,
): SkippedTier | undefined {
  if (tried.has(tier.name)) return { tier: tier.name, kind: 'tried', reason: 'was tried' };
  const allowed =
    policy === 'any' ||
    tier.name === preferred.name ||
    (policy === 'same_quality' && isSameQuality(tier, preferred));
  if (allowed) return undefined;
  return { tier: tier.name, kind: 'policy', reason: `the job's fallback policy is ${policy}` };
}

function findBudgetObstacle(
  { name, overBudget }: TierFacts,
  nowMs: number,
): SkippedTier | undefined {
  if (overBudget === undefined) return undefined;
  const { reason, retryInMs } = overBudget;
  const skipped = { tier: name, kind: 'budget', reason } as const;
  return retryInMs === undefined ? skipped : { ...skipped, retryAtMs: nowMs + retryInMs };
}

function findBreakerObstacle({ name, breaker }: TierFacts, nowMs: number): SkippedTier | undefined {
  if (breaker.openUntilMs > nowMs) {
    return { tier: name, kind: 'open', reason: breaker.reason, retryAtMs: breaker.openUntilMs };
  }
  if (breaker.openUntilMs > 0 && breaker.probing) {
    const reason = `${breaker.reason}; it is being tried again now`;
    return { tier: name, kind: 'open', reason, retryAtMs: nowMs + PROBE_POLL_MS };
  }
  return undefined;
}

/** Time for those who wait before this job, then for itself. */
function expectMs({ running, waiting, concurrency, p50Ms = 0 }: TierFacts): number {
  if (concurrency === undefined) return p50Ms;
  const ahead = Math.max(0, running + waiting + 1 - concurrency);
  return (Math.ceil(ahead / concurrency) + 1) * p50Ms;
}

/** A full tier lets those of equal quality that have room go first; otherwise jobs wait for it. */
function preferRoom(tiers: readonly TierFacts[]): TierFacts[] {
  const isFull = ({ concurrency, running }: TierFacts) =>
    concurrency !== undefined && running >= concurrency;
  const placed = [...tiers];
  const seen = new Set<TierFacts>();
  for (const tier of tiers) {
    if (seen.has(tier)) continue;
    const equals = tiers.filter((other) => isSameQuality(tier, other));
    const places = equals.map((equal) => tiers.indexOf(equal));
    const sorted = [...equals.filter((t) => !isFull(t)), ...equals.filter(isFull)];
    for (const [index, place] of places.entries()) {
      const chosen = sorted[index];
      if (chosen !== undefined) placed[place] = chosen;
    }
    for (const equal of equals) seen.add(equal);
  }
  return placed;
}
