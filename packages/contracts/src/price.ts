/** Amounts of money are whole millionths of the operator's currency: sums of them are exact. */
export const MICROS = 1_000_000;

/** What a tier costs, in the operator's currency; what is left out costs nothing. */
export interface TierPrice {
  readonly perImage?: number | undefined;
  /** For each million pixels. */
  readonly perMegapixel?: number | undefined;
  /** For each second of an attempt. */
  readonly perSecond?: number | undefined;
}

/** What was used of a tier. */
export interface TierUse {
  readonly images: number;
  /** Of all images together. */
  readonly pixels: number;
  readonly runMs: number;
}

/** In millionths, rounded to the nearest. */
export function costMicros(price: TierPrice | undefined, use: TierUse): number {
  const { perImage = 0, perMegapixel = 0, perSecond = 0 } = price ?? {};
  // Micros a pixel are units a megapixel; micros a millisecond are thousands of units a second.
  return Math.round(
    perImage * use.images * MICROS + perMegapixel * use.pixels + perSecond * use.runMs * 1_000,
  );
}

export function isFree(price: TierPrice | undefined): boolean {
  return Object.values(price ?? {}).every((amount: number | undefined) => (amount ?? 0) === 0);
}
