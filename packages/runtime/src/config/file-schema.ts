import { z } from 'zod';
import { apiSchema } from './api-schema.ts';
import { cacheSchema, fallbackSchema } from './fallback-schema.ts';
import { queueSchema } from './queue-schema.ts';
import { tierSchema } from './tier-schema.ts';
import { workerSchema } from './worker-schema.ts';

/**
 * A blocked event loop renews no locks. They are renewed every sixth of their time, and the watchdog may need half
 * as long again as it grants: so a worker is dead before a lock that it held has run out.
 */
const longestBlockMs = (lockMs: number): number => Math.floor((lockMs * 3) / 5);

/** How long the event loop of a worker may be stuck. */
export function blockedMs(config: Pick<FileConfig, 'queue' | 'worker'>): number {
  return config.worker.blockedMs ?? longestBlockMs(config.queue.lockMs);
}

/** The YAML file: unknown keys are refused, so that a typo is never silently a default. */
export const fileSchema = z
  .strictObject({
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
    fallback: fallbackSchema,
    cache: cacheSchema,
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
  })
  .superRefine(({ queue: { lockMs }, worker }, context) => {
    const most = longestBlockMs(lockMs);
    if (worker.blockedMs === undefined || worker.blockedMs <= most) return;
    context.addIssue({
      code: 'custom',
      path: ['worker', 'blockedMs'],
      message:
        `a worker that is stuck for ${worker.blockedMs} ms loses its jobs before it is killed, and they run twice: ` +
        `at most ${most}, three fifths of queue.lockMs, or raise that to ${Math.ceil((worker.blockedMs * 5) / 3)}`,
    });
  });
export type FileConfig = z.infer<typeof fileSchema>;
