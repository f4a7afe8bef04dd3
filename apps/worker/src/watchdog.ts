import { Worker } from 'node:worker_threads';
import { startInterval } from '@tiercel/runtime';

export interface WatchdogData {
  readonly beats: SharedArrayBuffer;
  readonly text: SharedArrayBuffer;
  readonly blockedMs: number;
}

const TEXT_BYTES = 1_024;

/** Kills this process when its event loop is stuck for `blockedMs` (see watchdog-thread.ts). */
export class Watchdog {
  readonly #beats = new SharedArrayBuffer(4);
  readonly #text = new SharedArrayBuffer(TEXT_BYTES);
  readonly #thread: Worker;
  readonly #timer: NodeJS.Timeout;

  /** @param describe what this process is doing, for the log line of a kill */
  constructor(blockedMs: number, describe: () => string) {
    const data: WatchdogData = { beats: this.#beats, text: this.#text, blockedMs };
    this.#thread = new Worker(new URL('./watchdog-thread.js', import.meta.url), {
      workerData: data,
    });
    this.#thread.unref();
    const counter = new Int32Array(this.#beats);
    const text = new Uint8Array(this.#text);
    this.#timer = startInterval(
      () => {
        Atomics.add(counter, 0, 1);
        text.fill(0);
        text.set(Buffer.from(describe(), 'utf8').subarray(0, TEXT_BYTES - 1));
      },
      Math.max(20, Math.min(500, Math.floor(blockedMs / 8))),
    );
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#thread.terminate();
  }
}
