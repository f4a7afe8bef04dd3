import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { sleep, startInterval, startTimer } from './timers.ts';

const DAY_MS = 86_400_000;

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

describe('timers longer than the platform counts', () => {
  test.each([0, 1, 2 ** 31 - 1, 2 ** 31, 30 * DAY_MS, 365 * DAY_MS])(
    'a timer of %d ms fires then, once, and not before',
    (delayMs) => {
      const fired = jest.fn();
      startTimer(fired, delayMs);
      jest.advanceTimersByTime(Math.max(0, delayMs - 1));
      expect(fired).toHaveBeenCalledTimes(delayMs === 0 ? 1 : 0);
      jest.advanceTimersByTime(2);
      expect(fired).toHaveBeenCalledTimes(1);
      jest.advanceTimersByTime(400 * DAY_MS);
      expect(fired).toHaveBeenCalledTimes(1);
    },
  );

  test('a timer is cleared in its first piece and in a later one', () => {
    const fired = jest.fn();
    for (const clearAfterMs of [DAY_MS, 60 * DAY_MS]) {
      const timer = startTimer(fired, 90 * DAY_MS);
      jest.advanceTimersByTime(clearAfterMs);
      clearTimeout(timer);
      jest.advanceTimersByTime(400 * DAY_MS);
    }
    expect(fired).not.toHaveBeenCalled();
  });

  test('a timer without an end never fires', () => {
    const fired = jest.fn();
    startTimer(fired, Infinity);
    jest.advanceTimersByTime(400 * DAY_MS);
    expect(fired).not.toHaveBeenCalled();
  });

  test('an interval of 40 days comes every 40 days', () => {
    const fired = jest.fn();
    const interval = startInterval(fired, 40 * DAY_MS);
    jest.advanceTimersByTime(121 * DAY_MS);
    expect(fired).toHaveBeenCalledTimes(3);
    clearInterval(interval);
    jest.advanceTimersByTime(121 * DAY_MS);
    expect(fired).toHaveBeenCalledTimes(3);
  });

  test('a sleep of 40 days ends then, or at once with the reason of its signal', async () => {
    const waking = new AbortController();
    const [slept, woken] = [sleep(40 * DAY_MS), sleep(40 * DAY_MS, waking.signal)];
    const ended = jest.fn();
    void slept.then(ended);
    const failure = expect(woken).rejects.toThrow('enough');
    await jest.advanceTimersByTimeAsync(39 * DAY_MS);
    expect(ended).not.toHaveBeenCalled();
    waking.abort(new Error('enough'));
    await failure;
    await jest.advanceTimersByTimeAsync(DAY_MS);
    expect(ended).toHaveBeenCalledTimes(1);
    await expect(sleep(1, waking.signal)).rejects.toThrow('enough');
  });

  test('a delay that is not a number is an error, not a timer that fires at once', () => {
    expect(() => startTimer(() => undefined, Number.NaN)).toThrow(RangeError);
  });
});
