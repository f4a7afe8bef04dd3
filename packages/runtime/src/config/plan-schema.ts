import { FALLBACK_POLICIES, OMITTABLE } from '@tiercel/contracts';
import { z } from 'zod';
import { DAY_MS, duration, LONGEST_JOB_MS, shortName } from './value-kinds.ts';

/** A limit that may be lifted: null is none, also where a default or the file has one. */
const limit = () => z.number().int().positive().nullable().optional();

/**
 * What a tenant may use, and how it shares with others. A plan of the file adds to the default of its name, one of the
 * admin API to both; what none of them names has no limit.
 */
export const planSchema = z.strictObject({
  weight: z
    .number()
    .positive()
    .max(1_000_000)
    .optional()
    .describe(
      'Share of the capacity when tenants compete for it, by what their jobs cost; without it 1',
    ),
  maxRunning: limit().describe('Jobs of a tenant that run at once'),
  maxPending: limit().describe('Jobs of a tenant that wait; one more is refused with 429'),
  intervalMs: duration(DAY_MS)
    .nullable()
    .optional()
    .describe('Shortest time between two starts of jobs of a tenant'),
  jobsPerDay: limit().describe('Jobs that a tenant may post in a day (UTC)'),
  maxJobMs: duration(LONGEST_JOB_MS)
    .nullable()
    .optional()
    .describe('Limit for one run of a job, where it is under `queue.jobTimeoutMs`'),
  maxPixels: limit().describe('Largest picture that a prompt may ask for, in pixels'),
  maxBatch: limit().describe('Most pictures that a prompt may ask for at once'),
  fallback: z
    .enum(FALLBACK_POLICIES)
    .nullable()
    .optional()
    .describe('`fallback.policy` for jobs of this plan'),
  mayOmit: z
    .array(z.enum(OMITTABLE))
    .nullable()
    .optional()
    .describe(
      '`fallback.mayOmit` for jobs of this plan, be it more or less; `[]`: nothing may be left out',
    ),
  tiers: z.array(shortName).nullable().optional().describe('The tiers that may run its jobs'),
  nodes: z
    .array(z.string().min(1))
    .nullable()
    .optional()
    .describe('The node classes that its prompts may use'),
  denyNodes: z
    .array(z.string().min(1))
    .nullable()
    .optional()
    .describe('Node classes that its prompts may not use'),
  pool: shortName.nullable().optional().describe('The pool of workers that runs its jobs'),
  soft: z
    .boolean()
    .optional()
    .describe('Whether `maxRunning` and `intervalMs` yield while capacity is idle'),
  order: z
    .enum(['arrival', 'short-first'])
    .optional()
    .describe('`short-first` lets cheap jobs of this plan ahead of its dear ones, within bounds'),
  preempts: z
    .boolean()
    .optional()
    .describe('Whether its jobs may take the place of running ones of a `preemptible` plan'),
  preemptible: z.boolean().optional().describe('Whether its running jobs may be put back so'),
  budget: z
    .strictObject({
      day: z
        .number()
        .min(0)
        .nullable()
        .optional()
        .describe(
          'What its jobs may cost in a day (UTC), at the prices of tiers; 0: only tiers that cost nothing',
        ),
      month: z.number().min(0).nullable().optional().describe('The same for a month (UTC)'),
    })
    .optional(),
});
export type Plan = z.infer<typeof planSchema>;

/** Plans that are there without a word in the file. `anonymous`: one job at a time, one start in six seconds. */
export const DEFAULT_PLANS: Readonly<Record<string, Plan>> = {
  anonymous: { weight: 1, maxRunning: 1, maxPending: 100, intervalMs: 6_000 },
  free: { weight: 1, maxPending: 1_000 },
  pro: { weight: 4, maxPending: 2_000 },
  internal: { weight: 4 },
};

export const plansSchema = z
  .record(shortName, planSchema)
  .default({})
  .describe(
    'Plans by name, beside and over the defaults (`anonymous`, `free`, `pro`, `internal`): what a tenant may use. Keys and tokens name one',
  );
