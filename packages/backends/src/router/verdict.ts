import type { AttemptError } from '../failures.ts';

/** When and for how long breakers open; durations in ms. */
export interface BreakerPolicy {
  /** Counted failures in a row that open a breaker. */
  readonly failures: number;
  /** First pause after counted failures; each failed probe doubles it, up to `maxOpenMs`. */
  readonly openMs: number;
  readonly maxOpenMs: number;
}

/** What the end of an attempt says about its tier. */
export type Verdict =
  | { readonly kind: 'good'; readonly ms: number }
  /** Nothing: the caller's fault, or the attempt was stopped from outside. */
  | { readonly kind: 'neutral' }
  | { readonly kind: 'count'; readonly reason: string }
  | { readonly kind: 'open'; readonly untilMs: number; readonly reason: string };

/** A wrong key does not mend itself. */
const CONFIG_OPEN_MS = 600_000;
/** When the vendor does not say when its quota resets. */
const QUOTA_OPEN_MS = 3_600_000;
const RATE_OPEN_MS = 10_000;
const CAPACITY_OPEN_MS = 2_000;
/** No vendor's word closes a tier for longer than this without a probe. */
const LONGEST_OPEN_MS = 25 * 3_600_000;

/** The breaker column of the error classes (docs/fallback.md). */
export function judgeFailure(error: AttemptError, nowMs: number): Verdict {
  const reason = `${error.class}: ${error.message}`;
  const openFor = (ms: number): Verdict => ({
    kind: 'open',
    untilMs: Math.min(Math.max(error.retryAtMs ?? nowMs + ms, nowMs), nowMs + LONGEST_OPEN_MS),
    reason,
  });
  switch (error.class) {
    case 'caller':
    case 'safety':
    case 'unsupported':
      return { kind: 'neutral' };
    case 'config':
      return openFor(CONFIG_OPEN_MS);
    case 'quota':
      return openFor(QUOTA_OPEN_MS);
    case 'rate':
      return openFor(RATE_OPEN_MS);
    case 'capacity':
      return openFor(CAPACITY_OPEN_MS);
    case 'timeout':
    case 'network':
    case 'server':
    case 'bad_output':
      return { kind: 'count', reason };
  }
}
