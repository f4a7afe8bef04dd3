import type { JobResult } from '@tiercel/contracts';
import {
  addTierMetrics,
  createMetrics,
  type MetricsRegistry,
  type TierReading,
} from '@tiercel/runtime';

/** What a worker counts. Labels are bounded sets, never ids. */
export interface WorkerMetrics {
  readonly registry: MetricsRegistry;
  jobEnded(outcome: JobResult['outcome'], seconds: number): void;
}

export function createWorkerMetrics(read: {
  runningJobs: () => number;
  tiers: () => Promise<readonly TierReading[]>;
}): WorkerMetrics {
  const metrics = createMetrics('worker');
  const jobs = metrics.histogram({
    name: 'comfy_job_run_seconds',
    help: 'Time from taking a job to its end, by outcome',
    labelNames: ['outcome'],
    buckets: [0.005, 0.02, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600],
  });
  metrics.gauge({
    name: 'comfy_jobs_running',
    help: 'Jobs this worker runs now',
    read: read.runningJobs,
  });
  addTierMetrics(metrics, read.tiers);
  return {
    registry: metrics.registry,
    jobEnded: (outcome, seconds) => {
      jobs.observe({ outcome }, seconds);
    },
  };
}
