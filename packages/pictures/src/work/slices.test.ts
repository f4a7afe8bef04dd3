import { setImmediate } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import { createPacer, inRows, inSlices } from './slices.ts';

/** Computes for so long, without giving the event loop back. */
function compute(durationMs: number): void {
  const end = performance.now() + durationMs;
  while (performance.now() < end);
}

/** The turns of the event loop while `work` goes on, and the longest of them by its own computing. */
async function countTurns(work: Promise<unknown>): Promise<number> {
  let turns = 0;
  let isOver = false;
  void work.finally(() => {
    isOver = true;
  });
  while (!isOver) {
    await setImmediate();
    turns += 1;
  }
  return turns;
}

describe('long computations', () => {
  test('give the event loop back, whatever they loop over', async () => {
    const samples = inSlices(20 * 32_768, () => {
      compute(5);
    });
    expect(await countTurns(samples)).toBeGreaterThanOrEqual(5);
    let rows = 0;
    const tall = inRows({ width: 40_000, height: 20 }, () => {
      rows += 1;
      compute(5);
    });
    expect(await countTurns(tall)).toBeGreaterThanOrEqual(5);
    expect(rows).toBe(20);
  });

  test('give it back also when they are many and each of them is short', async () => {
    const frames = async () => {
      for (let frame = 0; frame < 60; frame += 1) {
        await inSlices(100, () => {
          compute(3);
        });
      }
    };
    expect(await countTurns(frames())).toBeGreaterThanOrEqual(10);
  });

  test('do not wait for a turn when they are short and few', async () => {
    let hasTurned = false;
    await setImmediate();
    const turned = setImmediate().then(() => {
      hasTurned = true;
    });
    for (let frame = 0; frame < 10; frame += 1) await inSlices(100, () => undefined);
    expect(hasTurned).toBe(false);
    await turned;
  });

  test('take one turn each, in order, when there are several', async () => {
    const order: number[] = [];
    const run = async (id: number) => {
      const pace = createPacer();
      for (let slice = 0; slice < 4; slice += 1) {
        order.push(id);
        compute(13);
        await pace();
      }
    };
    let isOver = false;
    const all = Promise.all([run(1), run(2), run(3)]).finally(() => {
      isOver = true;
    });
    await setImmediate();
    // What comes in between is heard after one slice, and not after one of each.
    const seen: number[] = [];
    while (!isOver) {
      const before = order.length;
      await setImmediate();
      seen.push(order.length - before);
    }
    await all;
    expect(Math.max(...seen)).toBeLessThanOrEqual(1);
    expect(order).toEqual([1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3]);
  });

  test('visit every sample and every row once', async () => {
    const ranges: [number, number][] = [];
    await inSlices(70_000, (from, to) => ranges.push([from, to]));
    expect(ranges[0]?.[0]).toBe(0);
    expect(ranges.at(-1)?.[1]).toBe(70_000);
    ranges.slice(1).forEach(([from], i) => {
      expect(from).toBe(ranges[i]?.[1]);
    });
    const rows: number[] = [];
    await inRows({ width: 3, height: 5 }, (y) => rows.push(y));
    expect(rows).toEqual([0, 1, 2, 3, 4]);
    await inSlices(0, () => {
      throw new Error('there is nothing to visit');
    });
  });

  test('end with the reason of their signal', async () => {
    const stop = new AbortController();
    let slices = 0;
    const work = inSlices(
      1_000 * 32_768,
      () => {
        slices += 1;
        compute(15);
        if (slices === 3) stop.abort(new Error('interrupted'));
      },
      stop.signal,
    );
    await expect(work).rejects.toThrow('interrupted');
    expect(slices).toBeLessThan(6);
  });
});
