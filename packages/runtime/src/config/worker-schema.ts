import { z } from 'zod';
import { bytes, count, DAY_MS, duration, HOUR_MS, MAX_PIXELS, MIB, ms } from './value-kinds.ts';

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
    maxPixels: count(MAX_PIXELS).describe('Largest picture a node may load or make'),
    pictureMemoryBytes: bytes(2048 * MIB).describe(
      'Memory for the pictures of running jobs, per process; who needs more than is free waits',
    ),
  })
  .prefault({});
