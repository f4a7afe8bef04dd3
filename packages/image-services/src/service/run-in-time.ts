import { AttemptError } from '@tiercel/routing';
import { startTimer } from '@tiercel/runtime';
import type { ServiceContext } from './image-service.ts';

/**
 * Runs a service's call, however many requests it makes, under one time limit. The signal that `run` gets
 * aborts at the caller's wish, at the limit, and when `run` has ended, so that nothing outlives it.
 * @throws the reason of the caller's signal, AttemptError (timeout), or what `run` throws
 */
export async function runInTime<T>(
  vendor: string,
  context: Pick<ServiceContext, 'signal' | 'timeoutMs'>,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  context.signal.throwIfAborted();
  // By hand: AbortSignal.any keeps what it made reachable from a signal that lives as long as a worker.
  const stop = new AbortController();
  const abort = (): void => {
    stop.abort(context.signal.reason);
  };
  const timer = startTimer(() => {
    const limit = `${vendor} did not answer within ${context.timeoutMs} ms`;
    stop.abort(new AttemptError('timeout', limit));
  }, context.timeoutMs);
  context.signal.addEventListener('abort', abort);
  try {
    return await run(stop.signal);
  } catch (error) {
    stop.signal.throwIfAborted();
    throw error;
  } finally {
    clearTimeout(timer);
    context.signal.removeEventListener('abort', abort);
    stop.abort();
  }
}
