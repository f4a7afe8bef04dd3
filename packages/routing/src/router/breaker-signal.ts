import { mayTryNextTier, PAUSES_MS, type AttemptError } from '../failures.ts';

/** When and for how long breakers open; durations in ms. */
export interface BreakerPolicy {
  /** Counted failures in a row that open a breaker. */
  readonly failures: number;
  /** First pause after counted failures; each failed probe doubles it, up to `maxOpenMs`. */
  readonly openMs: number;
  readonly maxOpenMs: number;
}

/** What the end of an attempt says about its tier. */
export type BreakerSignal =
  | { readonly kind: 'good'; readonly ms: number }
  /** Nothing: the caller's fault, or the attempt was stopped from outside. */
  | { readonly kind: 'neutral' }
  | { readonly kind: 'count'; readonly reason: string }
  | { readonly kind: 'open'; readonly untilMs: number; readonly reason: string };

/** No vendor's word keeps a breaker open for longer than this without a probe. */
const LONGEST_OPEN_MS = 25 * 3_600_000;

/** The breaker column of the error classes (docs/fallback.md). */
export function toBreakerSignal(error: AttemptError, nowMs: number): BreakerSignal {
  const reason = `${error.class}: ${error.message}`;
  const isNoFault = error.class === 'unsupported' || error.class === 'budget';
  if (!mayTryNextTier(error.class) || isNoFault) return { kind: 'neutral' };
  const pauseMs = PAUSES_MS[error.class];
  if (pauseMs === undefined) return { kind: 'count', reason };
  const untilMs = Math.max(error.retryAtMs ?? nowMs + pauseMs, nowMs);
  return { kind: 'open', untilMs: Math.min(untilMs, nowMs + LONGEST_OPEN_MS), reason };
}
