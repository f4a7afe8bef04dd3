import { describe, expect, test } from '@jest/globals';
import { EventLoopLag } from './event-loop-lag.ts';
import { OverloadLevel } from './overload-level.ts';

const MINUTE_MS = 60_000;
const THRESHOLDS = [1, 2, 3, 4].map((n) => ({ lagMs: n * 100, queueAgeMs: n * MINUTE_MS }));

function createLevel(thresholds: ConstructorParameters<typeof OverloadLevel>[0]['thresholds']) {
  const level = new OverloadLevel({ thresholds, recoverMs: 1_000 });
  let now = 0;
  /** Measures this for a while, twice a second. @returns the levels that it goes through */
  return (reading: { lagMs?: number; queueAgeMs?: number }, ms = 0): number[] => {
    const seen = [level.level];
    for (const end = now + ms; now <= end; now += 500) {
      level.update({ lagMs: 0, queueAgeMs: 0, ...reading }, now);
      if (seen.at(-1) !== level.level) seen.push(level.level);
    }
    return seen;
  };
}

describe('the level of overload', () => {
  test('rises at once to what is reached, by either reason, and not at all before', () => {
    const measure = createLevel(THRESHOLDS);
    expect(measure({ lagMs: 99, queueAgeMs: MINUTE_MS - 1 }, MINUTE_MS)).toEqual([0]);
    expect(measure({ lagMs: 100 })).toEqual([0, 1]);
    expect(measure({ queueAgeMs: 3 * MINUTE_MS })).toEqual([1, 3]);
    expect(measure({ lagMs: 5_000 })).toEqual([3, 4]);
  });

  test('falls step by step, each after a time of calm, and to the top again at once', () => {
    const measure = createLevel(THRESHOLDS);
    measure({ lagMs: 400 });
    expect(measure({ lagMs: 10 }, 900)).toEqual([4]);
    expect(measure({ lagMs: 10 }, 4_500)).toEqual([4, 3, 2, 1, 0]);
    expect(measure({ lagMs: 400 })).toEqual([0, 4]);
  });

  test('does not go to and fro around a threshold', () => {
    const measure = createLevel(THRESHOLDS);
    measure({ lagMs: 205 });
    for (let round = 0; round < 20; round += 1) {
      expect([...measure({ lagMs: 195 }, 2_000), ...measure({ lagMs: 205 }, 2_000)]).toEqual([
        2, 2,
      ]);
    }
    // Calm that is interrupted begins anew.
    for (let round = 0; round < 5; round += 1) {
      expect([...measure({ lagMs: 10 }, 400), ...measure({ lagMs: 120 })]).toEqual([2, 2]);
    }
  });

  test('has no step for what the configuration does not look at', () => {
    const [first, , third] = THRESHOLDS;
    const none = { lagMs: null, queueAgeMs: null };
    const measure = createLevel([
      first ?? none,
      none,
      { ...none, queueAgeMs: third?.queueAgeMs ?? 0 },
    ]);
    expect(measure({ lagMs: 1e9 })).toEqual([0, 1]);
    expect(measure({ queueAgeMs: 1e9 })).toEqual([1, 3]);
    expect(measure({}, 5_000)).toEqual([3, 2, 1, 0]);
  });
});

describe('the lag of an event loop', () => {
  /** Turns of the event loop that take so long each, beyond the 200 ms between two samples. */
  function measure(...lateMs: readonly number[]): number {
    let now = 0;
    const lag = new EventLoopLag(() => now);
    for (const late of lateMs) {
      now += 200 + late;
      lag.sample();
    }
    return lag.read();
  }
  const quiet = Array.from({ length: 40 }, () => 1);

  test('is what half of its turns are late by', () => {
    expect(measure(...quiet)).toBe(1);
    expect(measure(...quiet, ...Array.from({ length: 30 }, () => 300))).toBe(300);
  });

  test.each([400, 5_000, 60_000])('is not moved by one block of %d ms', (blockMs) => {
    expect(measure(...quiet, blockMs)).toBe(1);
    expect(measure(...quiet, blockMs, 1, 1)).toBe(1);
  });

  test('is seen soon, also of one that is blocked for longer than is looked at', () => {
    expect(measure(...quiet, 4_000, 4_000, 4_000)).toBe(4_000);
  });
});
