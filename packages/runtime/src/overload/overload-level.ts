import type { OverloadThreshold } from '../config/overload-schema.ts';

export interface OverloadReading {
  /** Of this process's event loop. */
  readonly lagMs: number;
  /** How long the tenants whose turn is next have waited; 0 when nobody asks. */
  readonly queueAgeMs: number;
}

/** Below this part of its threshold a step may be taken back: else it would come and go. */
const CALM = 0.5;

/**
 * How many steps are taken: 0 when all is well. It rises at once to whatever is reached, and falls by one step after a
 * time in which all was calm.
 */
export class OverloadLevel {
  readonly #thresholds: readonly OverloadThreshold[];
  readonly #recoverMs: number;
  #level = 0;
  #calmSince: number | undefined;

  /** @param options.thresholds in the order of the steps */
  constructor(options: { thresholds: readonly OverloadThreshold[]; recoverMs: number }) {
    this.#thresholds = options.thresholds;
    this.#recoverMs = options.recoverMs;
  }

  get level(): number {
    return this.#level;
  }

  update(reading: OverloadReading, nowMs: number): void {
    const reached = this.#thresholds.findLastIndex((step) => isOver(reading, step, 1)) + 1;
    const present = this.#thresholds[this.#level - 1];
    if (reached >= this.#level || present === undefined || isOver(reading, present, CALM)) {
      this.#level = Math.max(this.#level, reached);
      this.#calmSince = undefined;
      return;
    }
    this.#calmSince ??= nowMs;
    if (nowMs - this.#calmSince < this.#recoverMs) return;
    this.#level -= 1;
    this.#calmSince = nowMs;
  }
}

function isOver(reading: OverloadReading, step: OverloadThreshold, part: number): boolean {
  return (
    (step.lagMs !== null && reading.lagMs >= step.lagMs * part) ||
    (step.queueAgeMs !== null && reading.queueAgeMs >= step.queueAgeMs * part)
  );
}
