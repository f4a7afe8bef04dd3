import { startTimer } from '@tiercel/runtime';

/** Notices that a prompt has shown no sign of life for a while, or that signs of it may have been missed. */
export class IdleWatchdog {
  readonly #checkMs: number;
  #lastSign = Date.now();
  #wake: () => void = () => undefined;
  #isAwake = false;

  /** @param checkMs silence after which someone must look */
  constructor(checkMs: number) {
    this.#checkMs = checkMs;
  }

  /** A sign of life. */
  touch(): void {
    this.#lastSign = Date.now();
  }

  /** Signs may have been missed: who waits for silence, now or next, is woken at once. */
  wake(): void {
    this.#isAwake = true;
    this.#wake();
  }

  /** Resolves after a while without signs, or (`gap`) when woken. */
  async idle(): Promise<'idle' | 'gap'> {
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    for (;;) {
      if (this.#isAwake) {
        this.#isAwake = false;
        return 'gap';
      }
      const before = this.#lastSign;
      let timer: NodeJS.Timeout | undefined;
      const pause = new Promise<'paused'>((resolve) => {
        timer = startTimer(() => {
          resolve('paused');
        }, this.#checkMs);
        timer.unref(); // it outlives the prompt by up to its length
      });
      const first = await Promise.race([woken, pause]);
      clearTimeout(timer);
      if (first === 'paused' && this.#lastSign === before) return 'idle';
    }
  }
}
