import { sumUsage, type TierUsage, type UsageRow } from '@tiercel/accounts';
import { MICROS } from '@tiercel/contracts';
import { z } from 'zod';

/** Usage as every answer shows it. */
export const amountsShown = z.object({
  jobs: z
    .object({
      success: z.number().int(),
      error: z.number().int(),
      interrupted: z.number().int(),
    })
    .describe('By outcome'),
  run_seconds: z.number().describe('Of attempts, also of those that failed'),
  images: z.number().int().describe('Pictures that tiers made'),
  megapixels: z.number().describe('Millions of pixels of these pictures'),
  cost: z.number().describe('At the prices of the tiers'),
});

const tier = z.string().nullable().describe('null: jobs for which no tier was tried');
export const tierShown = amountsShown.extend({ tier });
export const rowShown = z.object({ tenant: z.string(), day: z.iso.date(), ...tierShown.shape });

export function showAmounts(usage: TierUsage): z.infer<typeof amountsShown> {
  const { success, error, interrupted } = usage;
  return {
    jobs: { success, error, interrupted },
    run_seconds: usage.runMs / 1_000,
    images: usage.images,
    megapixels: usage.pixels / 1_000_000,
    cost: usage.costMicros / MICROS,
  };
}

export function showTier(usage: TierUsage): z.infer<typeof tierShown> {
  return { tier: usage.tier ?? null, ...showAmounts(usage) };
}

export function showRow({ tenant, day, ...usage }: UsageRow): z.infer<typeof rowShown> {
  return { tenant, day, ...showTier(usage) };
}

/** All of them together. */
export function showTotal(rows: readonly TierUsage[]): z.infer<typeof amountsShown> {
  return showAmounts(sumUsage(rows));
}
