import type { PermitRunner } from '@tiercel/queue';
import { inTime, LATE, sleep, startTimer, type Logger } from '@tiercel/runtime';
import type { JobProcessor } from './job-processor.ts';
import type { RunningJobs } from './running-jobs.ts';

/** For jobs whose grace is over: to stop, and to be handed back. */
const HAND_BACK_MS = 2_000;
/** For the queue's own goodbye when no job runs any more. */
const IDLE_MS = 1_000;
const LOOK_EVERY_MS = 50;

/** What stopWorking takes at most. */
export function stopLimitMs(graceMs: number): number {
  return graceMs + HAND_BACK_MS + IDLE_MS;
}

/**
 * Stops a worker without losing anything: no new permits, time for what runs, then the rest is handed
 * back to the queue. While Redis is away nothing can be recorded or handed back: what runs is waited for as long,
 * then left to its permits, which are delivered again when their locks have run out.
 */
export async function stopWorking(
  parts: { runner: PermitRunner; processor: JobProcessor; running: RunningJobs; log: Logger },
  graceMs: number,
): Promise<void> {
  const { runner, processor, running, log } = parts;
  processor.stopTaking();
  const impatience = startTimer(() => {
    running.stopAll('shutdown');
  }, graceMs);
  try {
    const stopped = runner.stop();
    const idle = waitUntilIdle(running, graceMs + HAND_BACK_MS);
    await Promise.race([stopped, idle]);
    if ((await inTime(stopped, IDLE_MS)) !== LATE) return;
    const left = running.count;
    const message = 'the queue could not be left in order: jobs that ran here run again elsewhere';
    log.warn({ jobs: left }, message);
  } finally {
    clearTimeout(impatience);
  }
}

async function waitUntilIdle(running: RunningJobs, limitMs: number): Promise<void> {
  for (let leftMs = limitMs; running.count > 0 && leftMs > 0; leftMs -= LOOK_EVERY_MS) {
    await sleep(LOOK_EVERY_MS);
  }
}
