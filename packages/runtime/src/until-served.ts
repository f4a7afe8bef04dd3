import { isRedisUnavailable } from './redis-trouble.ts';
import { sleep } from './timers.ts';

const FIRST_DELAY_MS = 50;
const MAX_DELAY_MS = 1_000;

/**
 * Asks Redis until it serves: while it is away, loading, full (OOM), cannot save (MISCONF), or is a replica
 * (READONLY, NOREPLICAS). What is asked must bear to be asked twice. Other errors are passed on.
 * @param options `signal` ends the waiting; `onRefused` hears of each refusal, `first` once
 * @throws the signal's reason when it is aborted, whatever else was thrown
 */
export async function untilServed<T>(
  ask: () => Promise<T>,
  options: {
    readonly signal?: AbortSignal | undefined;
    readonly onRefused?: (error: unknown, isFirst: boolean) => void;
  } = {},
): Promise<T> {
  const { signal, onRefused } = options;
  for (let tries = 0; ; tries += 1) {
    try {
      return await ask();
    } catch (error) {
      if (!isRedisUnavailable(error)) throw error;
      onRefused?.(error, tries === 0);
    }
    const delayMs = Math.min(FIRST_DELAY_MS * 2 ** tries, MAX_DELAY_MS);
    await sleep(delayMs, signal).catch(() => undefined);
    signal?.throwIfAborted();
  }
}
