import { describe, expect, test } from '@jest/globals';
import { isCacheable } from './is-cacheable.ts';

const seeded = (seed: number | bigint | undefined) => ({ request: { seed } });

describe('whether a result may be kept', () => {
  test.each([
    { title: 'one fixed seed', stages: [seeded(0)], extraData: {}, kept: true },
    { title: 'no extra_data', stages: [seeded(7)], extraData: undefined, kept: true },
    { title: 'a 64-bit seed', stages: [seeded(2n ** 64n - 1n)], extraData: {}, kept: true },
    {
      title: 'one seed of two',
      stages: [seeded(1), seeded(undefined)],
      extraData: {},
      kept: false,
    },
    { title: 'no sampler', stages: [], extraData: {}, kept: false },
    { title: 'an opt-out', stages: [seeded(1)], extraData: { cache: false }, kept: false },
    { title: 'a mark', stages: [seeded(undefined)], extraData: { cache: true }, kept: true },
    { title: 'a mark and no sampler', stages: [], extraData: { cache: true }, kept: true },
    {
      title: 'a mark of another type',
      stages: [seeded(undefined)],
      extraData: { cache: 'yes' },
      kept: false,
    },
  ])('$title: $kept', ({ stages, extraData, kept }) => {
    expect(isCacheable({ stages, extraData })).toBe(kept);
  });
});
