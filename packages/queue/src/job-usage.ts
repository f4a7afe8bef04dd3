import type { TierUse } from '@tiercel/contracts';

/** What an ended job used. */
export interface JobUsage {
  /** Where it counts as a job: the tier that served it, else the last one tried; undefined: none was. */
  readonly tier: string | undefined;
  readonly uses: readonly (TierUse & {
    readonly tier: string;
    /** In millionths. */
    readonly costMicros: number;
  })[];
  /** Days for which it is kept. */
  readonly keptDays: number;
}

/** As count-usage.lua reads it. */
export function usageText({ tier = '', uses, keptDays }: JobUsage): string {
  return JSON.stringify({
    tier,
    kept_days: keptDays,
    uses: uses.map((use) => ({
      ...{ tier: use.tier, run_ms: Math.round(use.runMs), images: use.images },
      ...{ pixels: use.pixels, cost: use.costMicros },
    })),
  });
}
