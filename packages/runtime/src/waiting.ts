import { startTimer } from './timers.ts';

/** What was waited for took longer than its limit. It may still come to its end, with nobody waiting. */
export const LATE = Symbol('late');

/** Waits for something, but no longer than `limitMs`. @throws what it throws within that time */
export async function inTime<T>(work: Promise<T>, limitMs: number): Promise<T | typeof LATE> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<typeof LATE>((resolve) => {
    timer = startTimer(() => {
      resolve(LATE);
    }, limitMs);
  });
  // Nobody listens any more when it fails after its time.
  work.catch(() => undefined);
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Settles as `work` does, or rejects with the signal's reason as soon as it is aborted: work that never ends is
 * abandoned (its late outcome is ignored).
 */
export function raceAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const onAbort = () => {
      reject(new Error('aborted', { cause: signal.reason }));
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => {
      signal.removeEventListener('abort', onAbort);
    });
  });
}
