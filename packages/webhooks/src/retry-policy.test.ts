import { describe, expect, test } from '@jest/globals';
import { judgeTry } from './retry-policy.ts';

const HOUR_MS = 3_600_000;
const POLICY = { retryFirstMs: 5_000, retryMaxMs: 4 * HOUR_MS, retryForMs: 24 * HOUR_MS };
const failed = { status: 500, retryAfterMs: undefined };

describe('a delivery that always fails', () => {
  test.each([0, 0.5, 1])(
    'is tried at growing pauses for a day, and once more at its end (random %d)',
    (random) => {
      let [ageMs, tries] = [0, 0];
      const pauses: number[] = [];
      for (;;) {
        const judged = judgeTry(
          { tries, ageMs, isProgress: false, result: failed },
          POLICY,
          random,
        );
        if (judged.outcome === 'dead') break;
        expect(judged.outcome).toBe('retry');
        pauses.push(judged.pauseMs);
        ageMs += judged.pauseMs;
        tries += 1;
      }
      expect(ageMs).toBe(24 * HOUR_MS);
      expect(Math.abs((pauses[0] ?? 0) - 5_000)).toBeLessThanOrEqual(500);
      const growing = pauses.slice(0, -1);
      expect([...growing].sort((a, b) => a - b)).toEqual(growing);
      expect(Math.max(...pauses)).toBeLessThanOrEqual(4.4 * HOUR_MS);
      expect(tries).toBeGreaterThan(12);
      expect(tries).toBeLessThan(25);
    },
  );
});

test.each([
  [{ status: 200, retryAfterMs: undefined }, 'delivered'],
  [{ status: 299, retryAfterMs: undefined }, 'delivered'],
  [{ status: 301, retryAfterMs: undefined }, 'retry'],
  [{ status: 404, retryAfterMs: undefined }, 'retry'],
  [{ status: 410, retryAfterMs: undefined }, 'dead'],
  [{ code: 'timeout' as const }, 'retry'],
  [{ code: 'name_not_found' as const }, 'retry'],
  [{ code: 'address_refused' as const }, 'dead'],
])('%j comes to %s', (result, outcome) => {
  expect(judgeTry({ tries: 0, ageMs: 0, isProgress: false, result }, POLICY, 0.5).outcome).toBe(
    outcome,
  );
});

test('progress that failed is not tried again', () => {
  const judged = judgeTry({ tries: 0, ageMs: 0, isProgress: true, result: failed }, POLICY, 0.5);
  expect(judged.outcome).toBe('dropped');
});

test('a receiver may ask for a longer pause, up to the longest', () => {
  const pause = (retryAfterMs: number) =>
    judgeTry(
      { tries: 0, ageMs: 0, isProgress: false, result: { status: 429, retryAfterMs } },
      POLICY,
      0.5,
    ).pauseMs;
  expect(pause(1)).toBe(5_000);
  expect(pause(60_000)).toBe(60_000);
  expect(pause(1e12)).toBe(4 * HOUR_MS);
});
