import { z } from 'zod';

/** Upper bounds in seconds of the buckets that attempts are counted in. */
export const TIER_LATENCY_BUCKETS = [
  0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300,
] as const;

/** Durations: how many were in each bucket, the last one without a bound. */
const durationsSchema = z.object({ buckets: z.array(z.number()), sumSeconds: z.number() });
export type Durations = z.infer<typeof durationsSchema>;

/** What a worker counted of one tier since it started; the API adds them up. */
export const tierCountsSchema = z.object({
  /** Attempts by how they ended (AttemptReport.class), and how long they took. */
  attempts: z.record(z.string(), durationsSchema),
  served: z.number(),
  degraded: z.number(),
  /** Served from stored results. */
  cached: z.number(),
});
export type TierCounts = z.infer<typeof tierCountsSchema>;

/** `half_open`: the pause is over and nobody has tried yet, or somebody tries now. */
export const BREAKER_STATES = ['closed', 'open', 'half_open'] as const;
export type BreakerState = (typeof BREAKER_STATES)[number];

export function createTierCounts(): TierCounts {
  return { attempts: {}, served: 0, degraded: 0, cached: 0 };
}

/** Counts one attempt that ended so and took so long. */
export function countAttempt({ attempts }: TierCounts, result: string, seconds: number): void {
  const found = TIER_LATENCY_BUCKETS.findIndex((bound) => seconds <= bound);
  const index = found === -1 ? TIER_LATENCY_BUCKETS.length : found;
  const durations = (attempts[result] ??= createDurations());
  durations.buckets[index] = (durations.buckets[index] ?? 0) + 1;
  durations.sumSeconds += seconds;
}

function createDurations(): Durations {
  return { buckets: [...TIER_LATENCY_BUCKETS, Infinity].map(() => 0), sumSeconds: 0 };
}

/** The counts of two workers as one. */
export function addTierCounts(a: TierCounts, b: TierCounts): TierCounts {
  const attempts = { ...a.attempts };
  for (const [result, { buckets, sumSeconds }] of Object.entries(b.attempts)) {
    const known = attempts[result] ?? createDurations();
    attempts[result] = {
      buckets: known.buckets.map((count, i) => count + (buckets[i] ?? 0)),
      sumSeconds: known.sumSeconds + sumSeconds,
    };
  }
  return {
    attempts,
    served: a.served + b.served,
    degraded: a.degraded + b.degraded,
    cached: a.cached + b.cached,
  };
}
