import {
  BREAKER_STATES,
  TIER_LATENCY_BUCKETS,
  type BreakerState,
  type Durations,
  type TierCounts,
} from '@tiercel/contracts';
import type { Metrics, Sample } from './metrics.ts';

/** One tier as it is now. */
export interface TierReading {
  readonly tier: string;
  readonly breaker: BreakerState;
  readonly counts: TierCounts;
}

/** Shows tiers on /metrics; `read` is asked at each scrape. Labels: tier names and error classes, never ids. */
export function addTierMetrics(
  metrics: Metrics,
  read: () => Promise<readonly TierReading[]>,
): void {
  const show = (
    kind: 'counter' | 'gauge' | 'histogram',
    name: string,
    help: string,
    samples: (reading: TierReading) => readonly Sample[],
  ) => {
    metrics.readings({ kind, name, help, read: async () => (await read()).flatMap(samples) });
  };
  show(
    'counter',
    'comfy_tier_attempts_total',
    'Attempts, by tier and by how they ended',
    ({ tier, counts }) =>
      Object.entries(counts.attempts).map(([kind, { buckets }]) => ({
        labels: { tier, class: kind },
        value: buckets.reduce((sum, count) => sum + count, 0),
      })),
  );
  show(
    'histogram',
    'comfy_tier_attempt_seconds',
    'Durations of attempts, by tier and by how they ended',
    ({ tier, counts }) =>
      Object.entries(counts.attempts).flatMap(([kind, durations]) =>
        durationSamples({ tier, class: kind }, durations),
      ),
  );
  show(
    'counter',
    'comfy_tier_served_total',
    'Jobs that a tier served, stored results included',
    ({ tier, counts }) => [{ labels: { tier }, value: counts.served }],
  );
  show(
    'counter',
    'comfy_tier_degraded_total',
    'Of these, jobs served degraded',
    ({ tier, counts }) => [{ labels: { tier }, value: counts.degraded }],
  );
  show(
    'counter',
    'comfy_tier_cache_hits_total',
    'Of these, jobs answered by a stored result',
    ({ tier, counts }) => [{ labels: { tier }, value: counts.cached }],
  );
  show(
    'gauge',
    'comfy_tier_breaker',
    '1 for the state that the breaker of a tier is in',
    ({ tier, breaker }) =>
      BREAKER_STATES.map((state) => ({
        labels: { tier, state },
        value: state === breaker ? 1 : 0,
      })),
  );
}

function durationSamples(labels: Sample['labels'], { buckets, sumSeconds }: Durations): Sample[] {
  let total = 0;
  const samples: Sample[] = buckets.map((count, index) => {
    total += count;
    const le = String(TIER_LATENCY_BUCKETS[index] ?? '+Inf');
    return { suffix: '_bucket', labels: { ...labels, le }, value: total };
  });
  return [
    ...samples,
    { suffix: '_sum', labels, value: sumSeconds },
    { suffix: '_count', labels, value: total },
  ];
}
