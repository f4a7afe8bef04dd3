import { z } from 'zod';
import { apiSchema } from './api-schema.ts';
import { queueSchema } from './queue-schema.ts';
import { tierSchema } from './tier-schema.ts';
import { workerSchema } from './worker-schema.ts';

/** The YAML file: unknown keys are refused, so that a typo is never silently a default. */
export const fileSchema = z.strictObject({
  tiers: z
    .array(tierSchema)
    .refine((tiers) => new Set(tiers.map((tier) => tier.name)).size === tiers.length, {
      message: 'tier names must differ: reports and metrics name a tier by it',
    })
    .default([])
    .describe(
      'The backends, in the order they are preferred; with none, the server of COMFYUI_URL, else one embedded tier',
    ),
  storage: z
    .strictObject({
      driver: z.enum(['filesystem']).default('filesystem').describe('Where files are kept'),
    })
    .prefault({}),
  queue: queueSchema,
  api: apiSchema,
  worker: workerSchema,
  auth: z
    .strictObject({
      mode: z
        .enum(['open'])
        .default('open')
        .describe('Who may use the API; `open` is everybody who can reach it'),
    })
    .prefault({}),
});
export type FileConfig = z.infer<typeof fileSchema>;
