import { expect, test } from '@jest/globals';
import { costMicros, isFree } from './price.ts';

const use = { images: 3, pixels: 3_000_000, runMs: 1_500 };

test.each([
  [{ perImage: 0.04 }, 120_000],
  [{ perMegapixel: 0.003 }, 9_000],
  [{ perSecond: 0.0002 }, 300],
  [{ perImage: 0.04, perMegapixel: 0.003, perSecond: 1 }, 1_629_000],
  [{}, 0],
  [undefined, 0],
])('a price of %j comes to %s millionths', (price, micros) => {
  expect(costMicros(price, use)).toBe(micros);
  expect(isFree(price)).toBe(micros === 0);
});

test('costs add up to what they are together', () => {
  const one = costMicros({ perImage: 0.1 }, { ...use, images: 1 });
  expect(one + one + one).toBe(costMicros({ perImage: 0.1 }, use));
});
