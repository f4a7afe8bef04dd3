import { isAppError } from '@tiercel/contracts';
import { summarizeError } from './describe-error.ts';
import { inTime, LATE } from './waiting.ts';
import type { Logger } from './logger.ts';

type Closer = () => unknown;

/** Of this process: a start that is told to stop fails at its next step, which is no failure then. */
const stop = { isUnderWay: false };

/** Signals this close together are one. */
const SIGNAL_ECHO_MS = 700;
/** For one closer that names no limit: most take no time, and those that need Redis wait for it in vain. */
const CLOSE_LIMIT_MS = 1_000;
/** For all of these together: when Redis hangs, all that need it wait in vain. */
const CLOSE_ALL_LIMIT_MS = 4_000;
/** For one of them when that is used up: most need no more. */
const LEAST_CLOSE_MS = 50;

/**
 * Closers in the reverse order of opening. Whoever opens a resource registers how it is closed.
 *
 * A stop always comes to its end: each closer has a limit, and what is not closed within it (a Redis that is away, a
 * server that hangs) is left to the end of the process, which closes everything. Nothing depends on an orderly end:
 * what a killed process leaves behind is repaired (docs/architecture.md).
 */
export class Lifecycle {
  readonly #closers: { name: string; close: Closer; limitMs: number | undefined }[] = [];
  readonly #log: Logger;
  #closing: Promise<void> | undefined;

  constructor(log: Logger) {
    this.#log = log;
  }

  /**
   * @param limitMs what the closer may take; then the next one's turn comes. Without it: a second, and less when
   * others have used up what such closers may take together
   */
  onClose(name: string, close: Closer, limitMs?: number): void {
    this.#closers.push({ name, close, limitMs });
  }

  /** Runs every closer once, last first; one that fails or hangs is logged and does not stop the others. */
  close(): Promise<void> {
    stop.isUnderWay = true;
    this.#closing ??= this.#closeAll();
    return this.#closing;
  }

  async #closeAll(): Promise<void> {
    let leftMs = CLOSE_ALL_LIMIT_MS;
    for (const { name, close, limitMs: ownLimitMs } of this.#closers.reverse()) {
      const limitMs = ownLimitMs ?? Math.max(LEAST_CLOSE_MS, Math.min(CLOSE_LIMIT_MS, leftMs));
      const startedAtMs = performance.now();
      try {
        const closed = await inTime(Promise.resolve(close()), limitMs);
        if (closed === LATE) this.#log.warn({ resource: name, limitMs }, 'closing takes too long');
      } catch (error) {
        this.#log.warn({ err: error, resource: name }, 'closing failed');
      }
      if (ownLimitMs === undefined) leftMs -= performance.now() - startedAtMs;
    }
  }

  /**
   * First SIGINT or SIGTERM: close, then exit 0. Another one, not at once: exit with 130, so that a
   * person who presses Ctrl-C twice is obeyed. (npm passes on the Ctrl-C that the terminal has already
   * sent to the whole group; that echo is not a second wish.) SIGPIPE is left alone: Node reports it as
   * EPIPE on the write.
   */
  closeOnSignals(): void {
    let signalledAt: number | undefined;
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => {
        if (signalledAt === undefined) {
          signalledAt = Date.now();
          this.#log.info({ signal }, 'stopping');
          void this.close().then(() => process.exit(0));
        } else if (Date.now() - signalledAt > SIGNAL_ECHO_MS) {
          process.exit(130);
        }
      });
    }
  }
}

/**
 * Runs an application's main function: an error ends the process with one line for the operator.
 * @param print where the line goes (the applications pass stderr)
 */
export async function runMain(
  main: () => Promise<void>,
  print: (line: string) => void,
): Promise<void> {
  const report = (error: unknown): void => {
    print(isAppError(error) ? error.message : summarizeError(error));
  };
  endWhenUncaught(report);
  try {
    await main();
  } catch (error) {
    if (stop.isUnderWay) return; // whoever closes ends the process
    report(error);
    process.exitCode = exitCodeFor(error);
    process.exit();
  }
}

/**
 * An error that nobody catches still ends the process, but is reported by us: Node would print it with all that hangs
 * on it, such as commands to Redis with their arguments. A later call replaces an earlier one.
 */
export function endWhenUncaught(report: (error: unknown) => void): void {
  process.setUncaughtExceptionCaptureCallback(null);
  process.setUncaughtExceptionCaptureCallback((error: unknown) => {
    report(error);
    process.exit(1);
  });
}

/** 78 (EX_CONFIG of sysexits.h) when the operator must change something, else 1. */
function exitCodeFor(error: unknown): number {
  return error instanceof Error && 'code' in error && error.code === 'config_invalid' ? 78 : 1;
}
