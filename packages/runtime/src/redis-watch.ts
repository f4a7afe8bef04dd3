import { summarizeError } from './describe-error.ts';
import { inTime, LATE } from './waiting.ts';
import type { Logger } from './logger.ts';
import { findRedisTrouble } from './redis-trouble.ts';

/** How often an outage is looked at; with it, how long its end goes unnoticed. */
const PROBE_MS = 1_000;
/** A probe that takes longer has failed: who asks whether Redis serves does not want to wait. */
const PROBE_TIMEOUT_MS = 2_000;
/** Failures of single commands, while Redis serves, are told this often. */
const BLIP_MS = 10_000;

/**
 * Whether Redis serves this process. Each outage is told twice in the log, when it begins and when it
 * ends, however much fails meanwhile: whoever logs an error of Redis notes it here (startProcess sees to it).
 * Only a write that succeeds ends an outage: a Redis with a full disk answers every read.
 */
export class RedisWatch {
  readonly #write: () => Promise<unknown>;
  readonly #log: Logger;
  #trouble: string | undefined;
  #since = 0;
  #timer: NodeJS.Timeout | undefined;
  #probe: Promise<void> | undefined;
  #writing: Promise<string | undefined> | undefined;
  #blipAt = -Infinity;
  #isStopped = false;

  /** @param dependencies.write a command that writes; may wait as long as it wants */
  constructor(dependencies: { write: () => Promise<unknown>; log: Logger }) {
    this.#write = dependencies.write;
    this.#log = dependencies.log;
  }

  /**
   * Something failed. Says whether it was because of Redis: then the watch tells of it, and the caller need not.
   */
  note(error: unknown): boolean {
    const trouble = findRedisTrouble(error);
    if (trouble === undefined) return false;
    if (this.#trouble === undefined && !this.#isStopped) void this.#look(error, trouble);
    return true;
  }

  /** Asks Redis. @returns why it cannot serve; undefined when it can */
  async check(): Promise<string | undefined> {
    await this.#run();
    return this.#trouble;
  }

  stop(): void {
    this.#isStopped = true;
    clearInterval(this.#timer);
  }

  async #look(error: unknown, trouble: string): Promise<void> {
    await this.#run();
    const now = performance.now();
    // An outage is told by the probe that finds it.
    if (this.#trouble !== undefined || now - this.#blipAt < BLIP_MS) return;
    this.#blipAt = now;
    this.#log.warn(
      { trouble, reason: summarizeError(error) },
      'a command to Redis failed; it serves',
    );
  }

  /** One probe at a time. */
  #run(): Promise<void> {
    this.#probe ??= this.#ask().finally(() => {
      this.#probe = undefined;
    });
    return this.#probe;
  }

  async #ask(): Promise<void> {
    // One that waits for Redis still may be the answer to the next probe.
    this.#writing ??= this.#write()
      .then(
        () => undefined,
        (error: unknown) => findRedisTrouble(error) ?? summarizeError(error),
      )
      .finally(() => {
        this.#writing = undefined;
      });
    const trouble = await inTime(this.#writing, PROBE_TIMEOUT_MS);
    this.#set(trouble === LATE ? 'no answer in time' : trouble);
  }

  #set(trouble: string | undefined): void {
    const before = this.#trouble;
    this.#trouble = trouble;
    if (this.#isStopped || (before === undefined) === (trouble === undefined)) return;
    if (trouble !== undefined) {
      this.#since = performance.now();
      this.#log.warn({ trouble }, 'redis does not serve; this is told once, until it does again');
      this.#timer = setInterval(() => void this.#run(), PROBE_MS);
      return;
    }
    clearInterval(this.#timer);
    const outageMs = Math.round(performance.now() - this.#since);
    this.#log.info({ outageMs }, 'redis serves again');
  }
}
