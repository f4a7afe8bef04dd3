import type { PermitRunner } from '@tiercel/queue';
import { startTimer } from '@tiercel/runtime';
import type { JobProcessor } from './job-processor.ts';
import type { RunningJobs } from './running-jobs.ts';

/**
 * Stops a worker without losing anything: no new permits, time for what runs, then the rest is handed
 * back to the queue.
 */
export async function stopWorking(
  parts: { runner: PermitRunner; processor: JobProcessor; running: RunningJobs },
  graceMs: number,
): Promise<void> {
  const { runner, processor, running } = parts;
  processor.stopTaking();
  const impatience = startTimer(() => {
    running.stopAll('shutdown');
  }, graceMs);
  try {
    await runner.stop();
  } finally {
    clearTimeout(impatience);
  }
}
