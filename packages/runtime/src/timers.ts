/**
 * The platform's timers count in 31 bits: one that is to wait longer (25 days) fires at once. These wait as
 * long as they are told. A delay that comes from the configuration, from a caller or from a backend goes
 * through here; the linter lets only constants pass by.
 */
const LONGEST_MS = 2 ** 31 - 1;

/** As setTimeout, for any delay; `clearTimeout` and `unref` work as ever, `refresh` on what is left of 25 days. */
export function startTimer(callback: () => void, delayMs: number): NodeJS.Timeout {
  const { pieces, pieceMs } = divide(delayMs);
  let left = pieces;
  const timer = setTimeout(() => {
    left -= 1;
    if (left > 0) timer.refresh();
    else callback();
  }, pieceMs);
  return timer;
}

/** As setInterval, for any interval. */
export function startInterval(callback: () => void, everyMs: number): NodeJS.Timeout {
  const { pieces, pieceMs } = divide(everyMs);
  let left = pieces;
  return setInterval(() => {
    left -= 1;
    if (left > 0) return;
    left = pieces;
    callback();
  }, pieceMs);
}

/**
 * Resolves after a delay of any length.
 * @throws the reason of `signal` when that aborts before
 */
export function sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const abort = (): void => {
      clearTimeout(timer);
      // Whatever the caller aborted with: it is thrown as it is.
      reject(signal?.reason as Error);
    };
    const timer = startTimer(() => {
      signal?.removeEventListener('abort', abort);
      resolve();
    }, delayMs);
    signal?.addEventListener('abort', abort, { once: true });
  });
}

/** Equal pieces, none too long: a timer is started anew with the length that it had. */
function divide(delayMs: number): { pieces: number; pieceMs: number } {
  if (Number.isNaN(delayMs)) throw new RangeError('a delay is not a number');
  const boundedMs = Math.min(delayMs, Number.MAX_SAFE_INTEGER); // for ever
  const pieces = Math.max(1, Math.ceil(boundedMs / LONGEST_MS));
  return { pieces, pieceMs: boundedMs / pieces };
}

/** Time, injected so that tests can hold it. Milliseconds since the epoch. */
export interface Clock {
  now(): number;
}

export const systemClock: Clock = { now: () => Date.now() };

/**
 * Goes on from a moment of another clock, as the time passes here: an epoch of ms that two machines agree on
 * though their clocks do not.
 */
export function clockFrom(epochMs: number): Clock {
  const startedAt = performance.now();
  return { now: () => epochMs + Math.round(performance.now() - startedAt) };
}
