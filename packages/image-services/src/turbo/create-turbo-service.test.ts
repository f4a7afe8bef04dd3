import { afterAll, beforeEach, describe, expect, it } from '@jest/globals';
import { AttemptError } from '@tiercel/routing';
import type { Clock } from '@tiercel/runtime';
import { type FakeService, startFakeTurbo, stopEverything, until } from '@tiercel/testkit';
import type { ImageService } from '../service/image-service.ts';
import { sampleContext, sampleRequest } from '../service/sample-request.test-helpers.ts';
import { createTurboService } from './create-turbo-service.ts';
import { TurboPool } from './turbo-pool.ts';

afterAll(stopEverything);

describe('a pool of turbo servers', () => {
  let fakes: readonly FakeService[];
  let service: ImageService;
  let nowMs = 1_000_000;
  const clock: Clock = { now: () => nowMs };
  const counts = (): number[] => fakes.map((fake) => fake.state().counts.pictures);
  const paint = (): Promise<unknown> => service.generate(sampleRequest(), sampleContext());

  beforeEach(async () => {
    fakes = await Promise.all([startFakeTurbo(), startFakeTurbo()]);
    service = createTurboService({ urls: fakes.map(({ url }) => url), clock });
  });

  it('gives each request to the least busy server', async () => {
    for (const fake of fakes) fake.setFault('hang');
    const stop = new AbortController();
    const context = sampleContext({ signal: stop.signal });
    const outcomes = [1, 2, 3, 4].map(() =>
      service.generate(sampleRequest(), context).catch((error: unknown) => String(error)),
    );
    await until(() => counts().every((count) => count === 2));
    stop.abort(new Error('enough'));
    expect(await Promise.all(outcomes)).toEqual(Array(4).fill('Error: enough'));
  });

  it.each(['reset', 'cut', 'capacity', 'error', 'text'] as const)(
    'asks the next server at once when one is in trouble (%s), and passes that one over for a time',
    async (fault) => {
      fakes[0]?.setFault(fault);
      await paint();
      expect(counts()).toEqual([1, 1]);
      await paint();
      expect(counts()).toEqual([1, 2]);
      nowMs += 1_001;
      await paint();
      expect(counts()).toEqual([2, 3]);
      // The second failure in a row counts for longer.
      nowMs += 1_001;
      await paint();
      expect(counts()).toEqual([2, 4]);
      fakes[0]?.setFault(undefined);
      nowMs += 1_000;
      await paint();
      expect(counts()).toEqual([3, 4]);
    },
  );

  it.each(['invalid_prompt', 'safety'] as const)(
    'does not ask another server after %s, and thinks no worse of the first',
    async (fault) => {
      fakes[0]?.setFault(fault);
      await expect(paint()).rejects.toBeInstanceOf(AttemptError);
      expect(counts()).toEqual([1, 0]);
      await paint();
      await expect(paint()).rejects.toBeInstanceOf(AttemptError);
      expect(counts()).toEqual([2, 1]);
    },
  );

  it('still tries servers that failed lately when there are no others', async () => {
    for (const fake of fakes) fake.setFault('capacity');
    await expect(paint()).rejects.toMatchObject({ class: 'capacity' });
    expect(counts()).toEqual([1, 1]);
    for (const fake of fakes) fake.setFault(undefined);
    await paint();
    expect(counts()).toEqual([2, 1]);
  });

  it('says so when it has no server', async () => {
    const pool = new TurboPool([], clock);
    const { signal } = new AbortController();
    await expect(pool.ask(signal, () => Promise.resolve(1))).rejects.toMatchObject({
      class: 'config',
    });
  });
});
