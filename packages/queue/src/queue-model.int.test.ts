import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startTestRedis, stopEverything } from '@tiercel/testkit';
import fc from 'fast-check';
import { QueueModel, type Command } from './queue-model.test-helpers.ts';

/**
 * Whatever callers, workers and operators do, in whatever order: three APIs and four workers, as clients of one
 * Redis, and a model that says what each answer may be. A script is one step, so every interleaving of processes is
 * a sequence of such steps.
 */

let redisUrl: string;
beforeAll(async () => {
  redisUrl = (await startTestRedis()).url;
});
afterAll(stopEverything);

const pick = fc.nat({ max: 1_000 });
const limits = fc.record({
  weight: fc.constantFrom(0.5, 1, 3),
  maxRunning: fc.constantFrom(undefined, 1, 2),
  intervalMs: fc.constantFrom(undefined, undefined, 30),
  soft: fc.constantFrom(false, false, true),
});
/** Which of the three profiles of workers can run a job, and who prefers others. */
const kinds = fc.constantFrom('', '', ';aa=0;', ';bb=0;', ';aa=0;bb=0;', ';aa=1;cc=0;', ';');
const commands: fc.Arbitrary<Command>[] = [
  fc.record({
    kind: fc.constant('add' as const),
    ...{ tenant: fc.nat({ max: 3 }), api: fc.nat({ max: 2 }) },
    number: fc.constantFrom(undefined, undefined, undefined, -1, 5),
    front: fc.constantFrom(false, false, false, true),
    priority: fc.constantFrom(...(['normal', 'normal', 'normal', 'low', 'high'] as const)),
    workers: kinds,
    client: fc.constantFrom(undefined, undefined, 'a', 'b'),
  }),
  fc.record({ kind: fc.constant('take' as const), worker: fc.nat({ max: 3 }) }),
  fc.record({
    kind: fc.constant('finish' as const),
    ...{ pick, runMs: fc.integer({ min: 1, max: 5_000 }), goesOn: fc.boolean() },
  }),
  fc.record({ kind: fc.constant('hand back' as const), pick }),
  fc.record({ kind: fc.constant('die' as const), pick }),
  fc.record({ kind: fc.constant('cancel' as const), pick }),
  fc.record({ kind: fc.constant('limit' as const), tenant: fc.nat({ max: 3 }), limits }),
  fc.record({ kind: fc.constant('judge' as const), pick, workers: kinds }),
  fc.record({ kind: fc.constant('decline' as const), pick }),
  fc.record({ kind: fc.constant('wait' as const) }),
];
const weights = [6, 6, 4, 1, 1, 1, 1, 1, 1, 1];
const command = fc.oneof(
  ...commands.map((arbitrary, index) => ({ arbitrary, weight: weights[index]! })),
);

test('order, limits and idle hands are as they should be, and nothing is lost or run twice', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(limits, { minLength: 4, maxLength: 4 }),
      fc.array(command, { minLength: 20, maxLength: 120 }),
      async (tenants, steps) => {
        const model = new QueueModel(redisUrl, tenants);
        try {
          for (const step of steps) await model.apply(step);
          await model.drain();
          expect(await model.readEnded()).toEqual(model.expectedEnded());
        } finally {
          await model.close();
        }
      },
    ),
    // A script that never ends must not look like a machine that is slow.
    { numRuns: 40, interruptAfterTimeLimit: 20_000, timeout: 10_000 },
  );
});
