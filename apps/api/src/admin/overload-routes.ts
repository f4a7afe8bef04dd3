import type { OverloadBoard } from '@tiercel/events';
import { OVERLOAD_STEPS, type OverloadWatch } from '@tiercel/runtime';
import { z } from 'zod';
import { describeRoute, type AdminRoute } from './admin-route.ts';

export interface OverloadRouteParts {
  readonly overload: Pick<OverloadWatch, 'level' | 'state' | 'thresholds'>;
  readonly board: OverloadBoard;
}

const level = z.number().int().min(0).max(OVERLOAD_STEPS.length);
const measured = {
  lag_ms: z.number().describe('How late its event loop is, the median of some seconds'),
  queue_age_ms: z.number().describe('How long the tenants whose turn is next have waited for it'),
};
const threshold = z.number().nullable().describe('null: never for this reason');

/** How overloaded the service is, and what it does about it. */
export function createOverloadRoutes({ overload, board }: OverloadRouteParts): AdminRoute[] {
  return [
    describeRoute({
      ...{ method: 'GET', path: '/overload', tag: 'overload' },
      summary: 'How many steps are taken because of overload, where, and when each is',
      answer: z.object({
        level: level.describe('The highest of all processes; 0: all is well'),
        steps: z.array(
          z.object({
            level: level,
            step: z.enum(OVERLOAD_STEPS),
            taken: z.boolean().describe('By some process'),
            ...{ lag_ms: threshold, queue_age_ms: threshold },
          }),
        ),
        this_process: z.object({ level, ...measured }),
        overloaded: z
          .array(
            z.object({ process: z.string(), kind: z.enum(['api', 'worker']), level, ...measured }),
          )
          .describe('Processes that have said so within the last 6 s'),
      }),
      handle: async () => {
        const overloaded = await board.read();
        const highest = Math.max(overload.level, ...overloaded.map((one) => one.level));
        const { lagMs, queueAgeMs } = overload.state;
        return {
          level: highest,
          steps: overload.thresholds.map((at, index) => ({
            level: index + 1,
            // There is a threshold for each step.
            step: OVERLOAD_STEPS[index] ?? 'admission',
            taken: highest > index,
            ...{ lag_ms: at.lagMs, queue_age_ms: at.queueAgeMs },
          })),
          this_process: { level: overload.level, lag_ms: lagMs, queue_age_ms: queueAgeMs },
          overloaded: overloaded.map((one) => ({
            ...{ process: one.process, kind: one.kind, level: one.level },
            ...{ lag_ms: one.lagMs, queue_age_ms: one.queueAgeMs },
          })),
        };
      },
    }),
  ];
}
