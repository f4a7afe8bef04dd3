import { RedisScript } from '@tiercel/runtime';

/** A tier as Redis has it. */
export interface TierRow {
  /** Until the pause of its breaker ends, negative after that; undefined when the breaker is closed. */
  readonly openForMs: number | undefined;
  readonly probing: boolean;
  readonly reason: string;
  readonly running: number;
  readonly waiting: number;
  readonly recentMs: readonly number[];
}

/** The state of several tiers, at one moment. */
export const readTiersScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['prefix'],
  list: 'tiers',
  parse: (reply): readonly TierRow[] =>
    (reply as [string, number, string, number, number, string[]][]).map(
      ([openFor, probing, reason, running, waiting, samples]) => ({
        openForMs: openFor === '' ? undefined : Number(openFor),
        probing: probing === 1,
        ...{ reason, running, waiting },
        recentMs: samples.map(Number),
      }),
    ),
});
