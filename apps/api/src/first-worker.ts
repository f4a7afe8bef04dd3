import { AppError } from '@tiercel/contracts';
import { startTimer } from '@tiercel/runtime';
import type { Catalogue } from './catalogue.ts';

/** Prompts held at once: each has its body in memory. */
const MAX_HELD = 1_000;

/**
 * On a system that has never had a worker no prompt can be validated. The first worker may be just about to
 * announce itself, so prompts are held for a while; whoever starts everything and posts loses none.
 */
export class FirstWorker {
  readonly #catalogue: Catalogue;
  readonly #waitMs: number;
  #held = 0;

  constructor(catalogue: Catalogue, waitMs: number) {
    this.#catalogue = catalogue;
    this.#waitMs = waitMs;
  }

  /** @throws AppError no_worker_known */
  async require(): Promise<void> {
    if (!(await this.#catalogue.isKnown())) throw notYet(1);
  }

  /**
   * Resolves when prompts can be validated.
   * @param whenGone makes a signal that is aborted when nobody waits for the answer any more
   * @throws AppError no_worker_known when that takes too long, or too many wait for it
   */
  async wait(whenGone: () => AbortSignal): Promise<void> {
    if (await this.#catalogue.isKnown()) return;
    if (this.#held >= MAX_HELD) throw notYet(5);
    this.#held += 1;
    const late = new AbortController();
    const timer = startTimer(() => {
      late.abort();
    }, this.#waitMs);
    try {
      if (!(await this.#catalogue.whenKnown(AbortSignal.any([whenGone(), late.signal]))))
        throw notYet(5);
    } finally {
      clearTimeout(timer);
      this.#held -= 1;
    }
  }
}

function notYet(retryAfterSeconds: number): AppError {
  const message = 'No worker has announced its nodes yet; start one.';
  return new AppError('no_worker_known', message, { retryAfterSeconds });
}
