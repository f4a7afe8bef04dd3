import { planSchema, poolSchema } from '@tiercel/runtime';
import { z } from 'zod';

const tenantSchema = z.strictObject({
  plan: z.string().min(1).max(64).optional().describe('Its plan, whatever its keys and tokens say'),
  overrides: planSchema.optional().describe('What counts for it over the plan’s word'),
  blocked: z.boolean().optional().describe('Whether its callers are refused'),
});

const tierSettingSchema = z.strictObject({
  enabled: z
    .boolean()
    .optional()
    .describe('Whether it is there at all: `false` is as if the file did not name it'),
  drain: z
    .boolean()
    .optional()
    .describe('Whether it gets no new attempts: jobs use others meanwhile, or wait with patience'),
  concurrency: z
    .number()
    .int()
    .positive()
    .nullable()
    .optional()
    .describe('Attempts at once, over all workers; null for no limit'),
});

const poolSettingSchema = poolSchema.extend({
  paused: z
    .boolean()
    .optional()
    .describe('Whether its workers start no jobs; what runs goes on, new jobs wait'),
  drain: z
    .boolean()
    .optional()
    .describe(
      'The same, and jobs are for other workers from now on: what only this pool could run is refused',
    ),
});

/** What administrators change while everything runs, and what each may be set to: the file's own schemas. */
export const POLICY_SCHEMAS = {
  plans: planSchema,
  tenants: tenantSchema,
  tiers: tierSettingSchema,
  pools: poolSettingSchema,
} as const;
export type PolicyKind = keyof typeof POLICY_SCHEMAS;
export type PolicySetting<Kind extends PolicyKind> = z.infer<(typeof POLICY_SCHEMAS)[Kind]>;

export const POLICY_KINDS = Object.keys(POLICY_SCHEMAS) as readonly PolicyKind[]; // its own keys
