import { FALLBACK_POLICIES, OMITTABLE } from '@tiercel/contracts';
import { z } from 'zod';
import { bytes, count, DAY_MS, LONGEST_JOB_MS, MIB, ms } from './value-kinds.ts';

export const fallbackSchema = z
  .strictObject({
    policy: z
      .enum(FALLBACK_POLICIES)
      .default('any')
      .describe(
        'For jobs without `extra_data.fallback`: `never` (only the first tier that can), `same_quality`, `any`',
      ),
    mayOmit: z
      .array(z.enum(OMITTABLE))
      .default([])
      .describe(
        `What image services may leave out of a graph, reported as degraded: ${OMITTABLE.join(', ')}`,
      ),
    patienceMs: ms(60_000, LONGEST_JOB_MS).describe(
      'How long a job waits for a paused tier when no other can serve it',
    ),
    breakerFailures: count(3).describe('Failures in a row after which a tier is paused'),
    breakerOpenMs: ms(5_000, DAY_MS).describe('First pause; each failed try after it doubles it'),
    breakerMaxOpenMs: ms(60_000, DAY_MS).describe('Longest pause after failures'),
  })
  .prefault({});

export const cacheSchema = z
  .strictObject({
    enabled: z
      .boolean()
      .default(true)
      .describe('Whether results of image services answer for equal later jobs'),
    maxBytes: bytes(1024 * MIB).describe('Files that stored results may refer to, together'),
    maxAgeMs: ms(DAY_MS, 365 * DAY_MS).describe('How long a result answers for equal jobs'),
    degradedMaxAgeMs: ms(300_000, 365 * DAY_MS).describe('The same for degraded results'),
  })
  .prefault({});
