import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { http, startSystem, type SystemOptions, type TestSystem } from '@tiercel/testkit';
import type { BenchmarkContext } from './benchmark.ts';

export interface BenchSystem extends TestSystem {
  /** An orderly end, so that CPU profiles are written. */
  stop(): Promise<void>;
  stopWorkers(): Promise<void>;
}

/** One API and one worker unless said otherwise, as `npm start` runs them: same settings, same logs. */
export async function startBenchSystem(
  context: BenchmarkContext,
  options: SystemOptions = {},
): Promise<BenchSystem> {
  const { profileDir } = context;
  const profiling: Record<string, string> =
    profileDir === undefined
      ? {}
      : {
          NODE_OPTIONS: `--import=${resolve('bench/profile-preload.mjs')}`,
          BENCH_PROFILE_DIR: profileDir,
        };
  const system = await startSystem({ ...options, env: { ...options.env, ...profiling } });
  const stopWorkers = async (): Promise<void> => {
    await Promise.all(system.workers.map((worker) => worker.stop()));
  };
  return {
    ...system,
    stopWorkers,
    stop: async () => {
      await stopWorkers();
      await Promise.all(system.apis.map((api) => api.stop()));
      await system.redis.stop();
    },
  };
}

const POLL_MS = 10;

/** Resolves when nothing waits and nothing runs. */
export async function waitUntilIdle(url: string, timeoutMs = 120_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const answer = await http(url).get('/prompt');
    const body = answer.json() as { exec_info: { queue_remaining: number } };
    const left = body.exec_info.queue_remaining;
    if (left === 0) return;
    if (Date.now() > deadline) throw new Error(`${left} jobs are still in the queue`);
    // Asking costs the API something too: less often while there is much to do.
    await sleep(Math.min(100, POLL_MS + left / 20));
  }
}

/** How many jobs history holds as successful. */
export async function countSuccesses(url: string): Promise<number> {
  const answer = await http(url).get('/api/jobs?status=completed&limit=1');
  return (answer.json() as unknown as { pagination: { total: number } }).pagination.total;
}

/** Empties `queue` or `history`. */
export async function clear(url: string, what: 'queue' | 'history'): Promise<void> {
  const answer = await http(url).post(`/${what}`, { clear: true }, { timeoutMs: 60_000 });
  if (answer.status !== 200) throw new Error(`POST /${what} answered ${answer.status}`);
}
