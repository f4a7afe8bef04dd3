import { z } from 'zod';
import { atMost, DAY_MS } from './value-kinds.ts';

const LONGEST_KEPT_DAYS = 3_660;

export const usageSchema = z
  .strictObject({
    keptDays: atMost(z.number().int().positive(), LONGEST_KEPT_DAYS, LONGEST_KEPT_DAYS * DAY_MS)
      .default(100)
      .describe(
        'Days for which it is known what each tenant used; about 0.4 KiB of Redis a day for each that was active',
      ),
  })
  .prefault({});
