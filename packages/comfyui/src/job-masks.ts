import { NO_MASK, type SecretMask, startTimer } from '@tiercel/runtime';

/** What a node said at its end may be read after the end of its job: it came by another socket. */
const KEPT_MS = 60_000;

/**
 * The masks of the jobs that a server works on. What it says to everybody names no job, and may repeat the keys of any
 * of them.
 */
export class JobMasks {
  readonly #masks = new Set<SecretMask>();

  /** @returns what is to be called when the job is over */
  add(mask: SecretMask): () => void {
    if (mask === NO_MASK) return () => undefined;
    // A job may be given to the server twice.
    const own: SecretMask = { ...mask };
    this.#masks.add(own);
    return () => {
      startTimer(() => {
        this.#masks.delete(own);
      }, KEPT_MS).unref();
    };
  }

  /** The value without the secrets of these jobs. */
  hide<T>(value: T): T {
    let hidden = value;
    for (const mask of this.#masks) hidden = mask.value(hidden);
    return hidden;
  }
}
