/**
 * Work that is asked for at any time and done one run at a time. Who asks while a run is under way gets the next
 * one: the present one may have looked before what the asker knows had happened.
 */
export class CoalescedRefresh {
  readonly #work: () => Promise<void>;
  #current: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  /** @param work must not reject */
  constructor(work: () => Promise<void>) {
    this.#work = work;
  }

  /** Resolves when a run that began after this call has ended. */
  run(): Promise<void> {
    if (this.#next !== undefined) return this.#next;
    if (this.#current === undefined) return this.#start();
    this.#next = this.#current.then(() => {
      this.#next = undefined;
      return this.#start();
    });
    return this.#next;
  }

  /** Resolves when the run that is under way has ended; without one, as `run`. */
  join(): Promise<void> {
    return this.#current ?? this.run();
  }

  #start(): Promise<void> {
    this.#current = this.#work().finally(() => {
      this.#current = undefined;
    });
    return this.#current;
  }
}
