import { z } from 'zod';
import {
  atMost,
  bytes,
  count,
  DAY_MS,
  duration,
  HOUR_MS,
  LONGEST_JOB_MS,
  MIB,
  ms,
} from './value-kinds.ts';

export const queueSchema = z
  .strictObject({
    maxPending: count(10_000).describe('Jobs that may wait; one more is refused with 429'),
    maxPendingBytes: bytes(480 * MIB).describe(
      'Bytes of prompts and extra data that may wait in all jobs together; a job with no room left is refused with 429',
    ),
    jobTimeoutMs: ms(600_000, LONGEST_JOB_MS).describe(
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
    lockMs: duration(HOUR_MS)
      .min(500)
      .default(15_000)
      .describe(
        'A worker that is silent for this long is taken for dead; its jobs run again at most a third of it later',
      ),
    historyMaxItems: count(10_000).describe('Ended jobs kept; the oldest go first'),
    historyMaxDays: atMost(z.number().positive(), 36_500, 36_500 * DAY_MS)
      .default(3650)
      .describe('Ended jobs older than this are dropped too'),
    eventsPerJob: count(2_000).describe(
      'Batches of events kept per job for replay (one batch: what happened within 3 ms)',
    ),
    eventBytesPerJob: bytes(8 * MIB).describe(
      'Bytes of events kept per job for replay; the oldest go first',
    ),
    maxEventBytes: z
      .number()
      .int()
      .min(1_024)
      .max(8 * MIB)
      .default(1 * MIB)
      .describe(
        'Largest single event; what is over it is cut (`tiercel_cut`), the whole is in history',
      ),
    eventsTtlSeconds: atMost(z.number().int().positive(), 30 * 86_400, 30 * DAY_MS)
      .default(3_600)
      .describe('How long a job’s events and missed terminal events are kept after its end'),
  })
  .refine((queue) => queue.eventBytesPerJob >= queue.maxEventBytes, {
    path: ['eventBytesPerJob'],
    message: 'must be at least maxEventBytes, or a single event would be too much',
  })
  .prefault({});
