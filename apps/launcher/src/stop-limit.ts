import type { Config } from '@tiercel/runtime';

/** How long an API gives its callers to take their answers. */
const API_CLOSE_MS = 5_000;
/** Over a process's own grace, for what it does after it when Redis hangs. */
const EXTRA_MS = 8_000;

/** Within this time every API and worker has ended after SIGTERM; one that has not is killed. */
export function stopLimitMs({ worker, api }: Pick<Config, 'worker' | 'api'>): number {
  return Math.max(worker.shutdownGraceMs, api.drainDelayMs + API_CLOSE_MS) + EXTRA_MS;
}
