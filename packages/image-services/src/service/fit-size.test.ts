import { describe, expect, it } from '@jest/globals';
import { fitSize, formatSize, type Size, type SizeLimits } from './fit-size.ts';

const limits: SizeLimits = { step: 8, minSide: 256, maxSide: 2048 };
const fit = (size: string, to: SizeLimits): string => formatSize(fitSize(parse(size), to));

function parse(text: string): Size {
  const [width = 0, height = 0] = text.split('x').map(Number);
  return { width, height };
}

describe('the size to ask a service for', () => {
  it.each([
    ['512x512', '512x512'],
    ['1023x511', '1024x512'],
    ['4096x2048', '2048x1024'],
    ['64x128', '256x512'],
    ['64x64', '256x256'],
    ['8192x256', '2048x256'],
    ['100x4000', '256x2048'],
  ])('for %s is %s where sides are multiples of 8 from 256 to 2048', (asked, used) => {
    expect(fit(asked, limits)).toBe(used);
  });

  it.each([
    ['4000x1000', '3840x1280'],
    ['3000x3000', '2160x2160'],
    ['512x512', '816x816'],
    ['663x989', '672x992'],
    ['1024x1024', '1024x1024'],
  ])('for %s is %s where proportions and area are limited too', (asked, used) => {
    const shaped = { minPixels: 655_360, maxAspect: 3, maxShortSide: 2160 };
    expect(fit(asked, { step: 16, minSide: 16, maxSide: 3840, ...shaped })).toBe(used);
  });
});
