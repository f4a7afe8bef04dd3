const SAMPLE_MS = 200;
const WINDOW_MS = 5_000;
/** Of so many samples at least: one long block is none that lasts. */
const LEAST_SAMPLES = 5;

/** How late the event loop of this process is: the median of a few seconds, which a single long task does not move. */
export class EventLoopLag {
  readonly #now: () => number;
  readonly #samples: { readonly at: number; readonly lateMs: number }[] = [];
  #timer: NodeJS.Timeout | undefined;
  #last: number;

  /** @param now monotonic, in ms */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#last = now();
  }

  start(): void {
    this.#last = this.#now();
    this.#timer = setInterval(() => {
      this.sample();
    }, SAMPLE_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Called when a timer of SAMPLE_MS has come. */
  sample(): void {
    const at = this.#now();
    this.#samples.push({ at, lateMs: Math.max(0, at - this.#last - SAMPLE_MS) });
    this.#last = at;
    while (this.#samples.length > LEAST_SAMPLES && (this.#samples[0]?.at ?? at) < at - WINDOW_MS) {
      this.#samples.shift();
    }
  }

  /** In whole ms; 0 until there are enough samples. */
  read(): number {
    if (this.#samples.length < LEAST_SAMPLES) return 0;
    const sorted = this.#samples.map(({ lateMs }) => lateMs).sort((a, b) => a - b);
    return Math.round(sorted[Math.floor(sorted.length / 2)] ?? 0);
  }
}
