import {
  OVERLOAD_STEPS,
  readThresholds,
  type OverloadStep,
  type OverloadThreshold,
} from '../config/overload-schema.ts';
import type { Config } from '../config/load.ts';
import type { Logger } from '../logger.ts';
import { EventLoopLag } from './event-loop-lag.ts';
import { OverloadLevel, type OverloadReading } from './overload-level.ts';

const TICK_MS = 500;
/** An overloaded process says so this often, and is believed for as long as two of its words may be missing. */
const REPORT_MS = 2_000;
const BELIEVED_MS = 3 * REPORT_MS;

export interface OverloadState extends OverloadReading {
  /** By what this process has measured itself. */
  readonly level: number;
}

export interface OverloadWatchOptions {
  readonly config: Pick<Config, 'overload' | 'auth'>;
  /** Undefined: this process is not told how long tenants wait. */
  readonly readQueueAgeMs?: () => Promise<number>;
  /** Told at each change of its own level, and every 2 s while that is not 0. */
  readonly report: (state: OverloadState) => Promise<void>;
  readonly log: Logger;
}

/**
 * Whether this process does less, and how much less: by what it measures, and by what others have told it. See
 * docs/adr/0029.
 */
export class OverloadWatch {
  readonly thresholds: readonly OverloadThreshold[];
  readonly #options: OverloadWatchOptions;
  readonly #lag = new EventLoopLag();
  readonly #own: OverloadLevel;
  readonly #heard = new Map<string, { readonly level: number; readonly untilMs: number }>();
  #queueAgeMs = 0;
  #isAsking = false;
  #timer: NodeJS.Timeout | undefined;
  #level = 0;
  #reported = { level: 0, atMs: 0 };

  constructor(options: OverloadWatchOptions) {
    this.#options = options;
    const { overload, auth } = options.config;
    this.thresholds = readThresholds(overload, auth.mode);
    this.#own = new OverloadLevel({ thresholds: this.thresholds, recoverMs: overload.recoverMs });
  }

  start(): void {
    this.#lag.start();
    this.#timer = setInterval(() => {
      this.#tick();
    }, TICK_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#lag.stop();
  }

  /** Steps that are taken here. */
  get level(): number {
    return this.#level;
  }

  get state(): OverloadState {
    return { level: this.#own.level, lagMs: this.#lag.read(), queueAgeMs: this.#queueAgeMs };
  }

  isTaken(step: OverloadStep): boolean {
    return this.#level > OVERLOAD_STEPS.indexOf(step);
  }

  /** Shortest time between two previews of a job, in ms; 0: as they come. */
  get previewIntervalMs(): number {
    return this.isTaken('previews') ? this.#options.config.overload.previewIntervalMs : 0;
  }

  /** The same for messages of progress. */
  get progressIntervalMs(): number {
    return this.isTaken('progress') ? this.#options.config.overload.progressIntervalMs : 0;
  }

  /** The same for broadcasts of the status. */
  get statusIntervalMs(): number {
    return this.isTaken('status') ? this.#options.config.overload.statusIntervalMs : 0;
  }

  /** Another process has said that it is overloaded, or is no more. One that dies is believed for 6 s. */
  hear(process: string, level: number): void {
    this.#heard.set(process, { level, untilMs: performance.now() + BELIEVED_MS });
    this.#settle(performance.now());
  }

  /** The least time until a step is taken back, in ms. */
  get recoverMs(): number {
    return this.#options.config.overload.recoverMs;
  }

  #tick(): void {
    const nowMs = performance.now();
    this.#askForAge();
    this.#own.update(this.state, nowMs);
    this.#settle(nowMs);
    const { level } = this.#own;
    const isDue = level > 0 && nowMs - this.#reported.atMs >= REPORT_MS;
    if (level === this.#reported.level && !isDue) return;
    this.#reported = { level, atMs: nowMs };
    this.#options.report(this.state).catch((error: unknown) => {
      // Said again soon; what is not said is forgotten by those who have heard of it.
      this.#options.log.debug({ err: error }, 'the overload of this process could not be told');
    });
  }

  #askForAge(): void {
    const { readQueueAgeMs } = this.#options;
    const isAsked = this.thresholds.some(({ queueAgeMs }) => queueAgeMs !== null);
    if (readQueueAgeMs === undefined || !isAsked || this.#isAsking) return;
    this.#isAsking = true;
    void readQueueAgeMs()
      // While Redis is away nobody knows; the lag still counts.
      .catch(() => 0)
      .then((ageMs) => {
        this.#queueAgeMs = ageMs;
        this.#isAsking = false;
      });
  }

  #settle(nowMs: number): void {
    let heard = 0;
    for (const [process, { level, untilMs }] of this.#heard) {
      if (untilMs < nowMs || level === 0) this.#heard.delete(process);
      else heard = Math.max(heard, level);
    }
    const level = Math.max(this.#own.level, heard);
    if (level === this.#level) return;
    const before = this.#level;
    this.#level = level;
    const { lagMs, queueAgeMs } = this.state;
    const facts = {
      ...{ overload: level, before, lagMs, queueAgeMs },
      steps: OVERLOAD_STEPS.slice(0, level),
      isToldByAnother: heard > this.#own.level,
    };
    if (level > before) this.#options.log.warn(facts, 'overload: this process does less');
    else this.#options.log.info(facts, 'overload: this process does more again');
  }
}
