import { z } from 'zod';

/** Upper bounds in seconds of the buckets that attempts are counted in. */
export const TIER_LATENCY_BUCKETS = [
  0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300,
] as const;

/** What a worker counted of one tier since it started; the API adds them up. */
export const tierCountsSchema = z.object({
  /** Attempts by how they ended (AttemptReport.class). */
  attempts: z.record(z.string(), z.number()),
  /** Durations of successful attempts: how many were in each bucket, the last one without a bound. */
  latency: z.object({ buckets: z.array(z.number()), sumSeconds: z.number() }),
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
  return {
    attempts: {},
    latency: { buckets: [...TIER_LATENCY_BUCKETS, Infinity].map(() => 0), sumSeconds: 0 },
    served: 0,
    degraded: 0,
    cached: 0,
  };
}

/** The counts of two workers as one. */
export function addTierCounts(a: TierCounts, b: TierCounts): TierCounts {
  const attempts = { ...a.attempts };
  for (const [kind, count] of Object.entries(b.attempts)) {
    attempts[kind] = (attempts[kind] ?? 0) + count;
  }
  return {
    attempts,
    latency: {
      buckets: a.latency.buckets.map((count, i) => count + (b.latency.buckets[i] ?? 0)),
      sumSeconds: a.latency.sumSeconds + b.latency.sumSeconds,
    },
    served: a.served + b.served,
    degraded: a.degraded + b.degraded,
    cached: a.cached + b.cached,
  };
}
