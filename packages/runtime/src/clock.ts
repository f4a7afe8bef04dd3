/** Time, injected so that tests can hold it. Milliseconds since the epoch. */
export interface Clock {
  now(): number;
}

export const systemClock: Clock = { now: () => Date.now() };

/**
 * Goes on from a moment of another clock, as the time passes here: an epoch of ms that two machines agree on
 * though their clocks do not.
 */
export function clockFrom(epochMs: number): Clock {
  const startedAt = performance.now();
  return { now: () => epochMs + Math.round(performance.now() - startedAt) };
}
