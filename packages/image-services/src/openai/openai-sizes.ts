import { fitSize, type Size } from '../service/fit-size.ts';

/** Models that take any size within limits: gpt-image-2 and later. */
const FREE_SIZES = /^gpt-image-(?:[2-9]|\d\d)/;
const LIMITS = {
  ...{ step: 16, minSide: 16, maxSide: 3840, maxShortSide: 2160, maxAspect: 3 },
  minPixels: 655_360,
};

/** What the GPT image models before that take; others that speak this API take these too. */
const COMMON_SIZES: readonly Size[] = [
  { width: 1024, height: 1024 },
  { width: 1536, height: 1024 },
  { width: 1024, height: 1536 },
];
const OWN_SIZES: Readonly<Record<string, readonly Size[]>> = {
  'dall-e-2': [256, 512, 1024].map((side) => ({ width: side, height: side })),
  'dall-e-3': [
    { width: 1024, height: 1024 },
    { width: 1792, height: 1024 },
    { width: 1024, height: 1792 },
  ],
};

/**
 * The size to ask an OpenAI model for: of those it has, the nearest in proportions, then the smallest that
 * is not smaller than what is wanted, else the largest.
 */
export function chooseOpenAiSize(model: string, asked: Size): Size {
  if (FREE_SIZES.test(model)) return fitSize(asked, LIMITS);
  const sizes = OWN_SIZES[model] ?? COMMON_SIZES;
  const ranked = sizes.map((size) => ({ size, rank: rankSize(size, asked) }));
  ranked.sort((a, b) => a.rank.shape - b.rank.shape || a.rank.area - b.rank.area);
  return ranked[0]?.size ?? asked;
}

function rankSize(size: Size, asked: Size): { shape: number; area: number } {
  const shape = Math.abs(Math.log((size.width / size.height / asked.width) * asked.height));
  const isSmaller = size.width < asked.width || size.height < asked.height;
  const area = size.width * size.height;
  return { shape, area: isSmaller ? 1e9 - area : area };
}
