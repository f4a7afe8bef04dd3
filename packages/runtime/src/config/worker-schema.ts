import { z } from 'zod';
import { bytes, count, DAY_MS, duration, HOUR_MS, MIB, ms } from './value-kinds.ts';

/** What the longest `queue.lockMs` allows: three fifths of it. */
const LONGEST_BLOCK_MS = (HOUR_MS * 3) / 5;

export const workerSchema = z
  .strictObject({
    shutdownGraceMs: ms(10_000, DAY_MS).describe(
      'After SIGTERM running jobs may finish for this long, then they are handed back',
    ),
    blockedMs: duration(LONGEST_BLOCK_MS)
      .optional()
      .describe(
        'A worker whose event loop is stuck for this long kills itself; its jobs run again elsewhere. Not set: three fifths of `queue.lockMs`, which is also the most it may be',
      ),
    cacheBytes: bytes(256 * MIB).describe(
      'Results of unchanged nodes kept for later jobs, per process',
    ),
    maxPixels: count(268_402_689).describe('Largest picture a node may load or make'),
  })
  .prefault({});
