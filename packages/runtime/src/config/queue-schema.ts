import { z } from 'zod';
import { count, ms } from './value-kinds.ts';

export const queueSchema = z
  .strictObject({
    maxPending: count(10_000).describe('Jobs that may wait; one more is refused with 429'),
    jobTimeoutMs: ms(600_000).describe(
      'Limit for one run of a job; then it ends in execution_error',
    ),
    attempts: count(3).describe(
      'Times a job is started when workers die under it, before it ends in execution_error',
    ),
    perClient: z
      .enum(['serial', 'parallel'])
      .default('serial')
      .describe(
        'serial: one running job per client_id, as ComfyUI does; parallel: as many as there is room for',
      ),
    lockMs: z
      .number()
      .int()
      .min(500)
      .default(15_000)
      .describe(
        'A worker that is silent for this long is taken for dead; its jobs run again at most a third of it later',
      ),
    historyMaxItems: count(10_000).describe('Ended jobs kept; the oldest go first'),
    historyMaxDays: z
      .number()
      .positive()
      .default(3650)
      .describe('Ended jobs older than this are dropped too'),
    eventsPerJob: count(2_000).describe(
      'Batches of events kept per job for replay (one batch: what happened within 3 ms)',
    ),
    eventsTtlSeconds: count(3_600).describe(
      'How long a job’s events and missed terminal events are kept after its end',
    ),
  })
  .prefault({});
