import type { WireEvent } from '@tiercel/contracts';
import { startTimer } from '@tiercel/runtime';

/**
 * Lets events of a job pass, those of progress not more often than they may now. What is held back is not lost: the
 * newest of each kind and node comes when its time has come, or ahead of the next event that is no progress. So the order
 * is kept, and what was emitted last is true.
 */
export class ProgressGate {
  readonly #intervalMs: () => number;
  readonly #togetherMs: number;
  readonly #pass: (event: WireEvent) => void;
  readonly #onWithheld: () => void;
  readonly #held = new Map<string, WireEvent>();
  #openedAt = -Infinity;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: {
    /** Shortest time between two messages of progress now, in ms; 0: they pass. */
    intervalMs: () => number;
    /** What comes so soon after another belongs to it: the state of all nodes and the step of one. */
    togetherMs: number;
    pass: (event: WireEvent) => void;
    /** An event was replaced by a newer one. */
    onWithheld: () => void;
  }) {
    this.#intervalMs = options.intervalMs;
    this.#togetherMs = options.togetherMs;
    this.#pass = options.pass;
    this.#onWithheld = options.onWithheld;
  }

  push(event: WireEvent): void {
    const intervalMs = this.#intervalMs();
    // The usual case costs a comparison.
    if (intervalMs === 0 && this.#held.size === 0) {
      this.#pass(event);
      return;
    }
    const slot = slotOf(event);
    if (slot === undefined || intervalMs === 0) {
      this.release();
      this.#pass(event);
      return;
    }
    const sinceMs = performance.now() - this.#openedAt;
    if (sinceMs >= intervalMs) this.open();
    else if (sinceMs > this.#togetherMs) {
      this.#hold(slot, event, intervalMs - sinceMs);
      return;
    }
    this.release();
    this.#pass(event);
  }

  /** Lets what comes now pass. */
  open(): void {
    this.#openedAt = performance.now();
  }

  /** Lets pass what is held back. */
  release(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const held = [...this.#held.values()];
    this.#held.clear();
    for (const event of held) this.#pass(event);
  }

  #hold(slot: string, event: WireEvent, forMs: number): void {
    // Behind the others: it is the newest.
    if (this.#held.delete(slot)) this.#onWithheld();
    this.#held.set(slot, event);
    this.#timer ??= startTimer(() => {
      this.open();
      this.release();
    }, forMs);
  }
}

/** What a newer event of the same slot makes needless; undefined for what is no progress. */
function slotOf({ type, data }: WireEvent): string | undefined {
  if (type === 'progress_state') return type;
  if (type !== 'progress') return undefined;
  const { node } = data as { node?: unknown };
  return `progress ${typeof node === 'string' ? node : ''}`;
}
