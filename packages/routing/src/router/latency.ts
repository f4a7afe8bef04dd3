/** Fewer samples than this say nothing about the slow ones. */
const ENOUGH = 10;

/** The median in ms; undefined without samples. */
export function p50(samples: readonly number[]): number | undefined {
  return quantile(samples, 0.5);
}

/** The time that 95 of 100 attempts stay under, in ms; undefined while too little is known. */
export function p95(samples: readonly number[]): number | undefined {
  return samples.length < ENOUGH ? undefined : quantile(samples, 0.95);
}

/** The time for which an attempt is to be paid before it begins, in ms; undefined without samples. */
export function expectSpending(samples: readonly number[]): number | undefined {
  return p95(samples) ?? p50(samples);
}

function quantile(samples: readonly number[], share: number): number | undefined {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}
