import { z } from 'zod';
import { DAY_MS, duration, HOUR_MS, MINUTE_MS, ms } from './value-kinds.ts';

/** What an overloaded service does, in this order: each step comes on top of those before it. */
export const OVERLOAD_STEPS = ['previews', 'progress', 'status', 'admission'] as const;
export type OverloadStep = (typeof OVERLOAD_STEPS)[number];

/** When a step is taken; null: never for this reason. */
export interface OverloadThreshold {
  readonly lagMs: number | null;
  readonly queueAgeMs: number | null;
}

const QUEUE_AGES_MS = { previews: 5, progress: 10, status: 15, admission: 20 } as const;

const step = (name: OverloadStep, lagMs: number, does: string) =>
  z
    .strictObject({
      lagMs: duration(MINUTE_MS)
        .nullable()
        .default(lagMs)
        .describe(
          `How late the event loop of a process is, as the median of some seconds, when ${does}; \`null\`: never for this reason`,
        ),
      queueAgeMs: duration(DAY_MS)
        .nullable()
        .optional()
        .describe(
          `How long the tenants whose turn is next have waited for it when the same is done. Not set: never while \`auth.mode\` is \`open\`, else ${QUEUE_AGES_MS[name]} minutes`,
        ),
    })
    .prefault({});

/** When and how an overloaded service does less. */
export const overloadSchema = z
  .strictObject({
    previews: step('previews', 250, 'previews are sent less often'),
    progress: step('progress', 500, 'progress is sent less often as well'),
    status: step('status', 1_000, 'the status is sent less often as well'),
    admission: step('admission', 2_000, 'jobs of the plans with the least weight are refused'),
    recoverMs: ms(10_000, HOUR_MS).describe(
      'How long both must be under half of what a step takes before it is taken back; each step by itself',
    ),
    previewIntervalMs: ms(1_000, MINUTE_MS).describe(
      'Shortest time between two previews of a job then',
    ),
    progressIntervalMs: ms(1_000, MINUTE_MS).describe(
      'Shortest time between two messages of progress of a job then',
    ),
    statusIntervalMs: ms(1_000, MINUTE_MS).describe(
      'Shortest time between two status broadcasts of a process then',
    ),
  })
  .superRefine((overload, context) => {
    const thresholds = readThresholds(overload, 'required');
    for (const field of ['lagMs', 'queueAgeMs'] as const) {
      let least = { step: '', value: 0 };
      for (const [index, name] of OVERLOAD_STEPS.entries()) {
        const value = thresholds[index]?.[field] ?? null;
        if (value === null) continue;
        if (value < least.value) {
          context.addIssue({
            code: 'custom',
            path: [name, field],
            message: `is ${value}, less than the ${least.value} of overload.${least.step}.${field}: the steps are taken in the order ${OVERLOAD_STEPS.join(', ')}`,
          });
        }
        least = { step: name, value };
      }
    }
  })
  .prefault({});
type OverloadConfig = z.infer<typeof overloadSchema>;

/** In the order of the steps. With `auth.mode: open` a long queue is what somebody wanted, unless the file says else. */
export function readThresholds(
  overload: Pick<OverloadConfig, OverloadStep>,
  authMode: string,
): OverloadThreshold[] {
  return OVERLOAD_STEPS.map((name) => {
    const { lagMs, queueAgeMs } = overload[name];
    const usual = authMode === 'open' ? null : QUEUE_AGES_MS[name] * MINUTE_MS;
    return { lagMs, queueAgeMs: queueAgeMs === undefined ? usual : queueAgeMs };
  });
}
