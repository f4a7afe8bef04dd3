import { costMicros, isFree, type TierPrice, type TierUse } from '@tiercel/contracts';
import type { Pictures } from './expect-pictures.ts';

/** A tier as far as money is concerned, for one job. */
export interface PricedTier {
  /** Undefined: it costs nothing. */
  readonly price: TierPrice | undefined;
  /** Pictures that an attempt is expected to make; asked only where that matters. */
  readonly expect: () => Pictures;
  /**
   * Which pictures count: those that it was `asked` for once it has answered, an image service's; those that it says
   * that it has `made`; those that output nodes have `shown`.
   */
  readonly counts: 'asked' | 'made' | 'shown';
}

/** `abandoned`: it was stopped while it was at work. */
export type AttemptOutcome = 'done' | 'failed' | 'abandoned';

/** What one attempt uses and costs. */
export class AttemptAccount {
  readonly tier: string;
  readonly #priced: PricedTier;
  #coveredMs: number;
  #made: Pictures | undefined;
  #ended: { readonly ms: number; readonly outcome: AttemptOutcome } | undefined;
  #onExhausted: (() => void) | undefined;

  /** @param coveredMs for which it is reserved */
  constructor(tier: string, priced: PricedTier, coveredMs: number) {
    this.tier = tier;
    this.#priced = priced;
    this.#coveredMs = coveredMs;
    this.#made = priced.counts === 'shown' ? undefined : { images: 0, pixels: 0 };
  }

  get isOver(): boolean {
    return this.#ended !== undefined;
  }

  get coveredMs(): number {
    return this.#coveredMs;
  }

  /** It is reserved for longer now. */
  cover(ms: number): void {
    this.#coveredMs = ms;
  }

  /** What it costs when it takes so long, in millionths. */
  estimateMicros(ms = this.#coveredMs): number {
    const { price, expect } = this.#priced;
    return isFree(price) ? 0 : costMicros(price, { ...expect(), runMs: ms });
  }

  /** What is to be reserved for it, in millionths: what it has cost when it is over. */
  get heldMicros(): number {
    return this.#ended === undefined ? this.estimateMicros() : this.use.costMicros;
  }

  /** The tier has made pictures. */
  countPictures(images: number, pixels: number): void {
    if (this.#made === undefined) return;
    this.#made = { images: this.#made.images + images, pixels: this.#made.pixels + pixels };
  }

  /** @param onExhausted called when it has taken as long as its tenant can pay for */
  watch(onExhausted: () => void): void {
    this.#onExhausted = onExhausted;
  }

  exhaust(): void {
    if (!this.isOver) this.#onExhausted?.();
  }

  end(outcome: AttemptOutcome, ms: number): void {
    this.#ended = { ms, outcome };
    // A service bills what it was asked for, whether anybody waits for it or not.
    if (outcome === 'abandoned' && this.#priced.counts === 'asked')
      this.#made = this.#priced.expect();
  }

  /** Whether its pictures are known only from what output nodes show. */
  get isUncounted(): boolean {
    return this.#ended?.outcome === 'done' && this.#made === undefined;
  }

  /** The pictures that output nodes show. */
  settle(made: Pictures): void {
    this.#made = made;
  }

  get use(): TierUse & { readonly tier: string; readonly costMicros: number } {
    const { images, pixels } = this.#made ?? { images: 0, pixels: 0 };
    const use = { images, pixels, runMs: this.#ended?.ms ?? 0 };
    return { tier: this.tier, ...use, costMicros: costMicros(this.#priced.price, use) };
  }
}
