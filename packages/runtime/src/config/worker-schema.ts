import { z } from 'zod';
import { bytes, count, MAX_PIXELS, MIB, ms } from './value-kinds.ts';

export const workerSchema = z
  .strictObject({
    shutdownGraceMs: ms(10_000).describe(
      'After SIGTERM running jobs may finish for this long, then they are handed back',
    ),
    blockedMs: z
      .number()
      .int()
      .positive()
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
