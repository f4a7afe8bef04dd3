import { ERRORS, MICROS, type JobResult } from '@tiercel/contracts';
import type { JobUsage } from '@tiercel/queue';
import {
  addOverloadMetrics,
  createMetrics,
  type MetricsRegistry,
  type OverloadWatch,
} from '@tiercel/runtime';

/**
 * What a worker counts. Labels are bounded sets, never ids. What it counts of its tiers goes with its heartbeat, and one of the
 * APIs shows it.
 */
export interface WorkerMetrics {
  readonly registry: MetricsRegistry;
  /**
   * A run begins.
   * @param attempt 1 for the first run of the job
   * @param waitedSeconds since the job was accepted
   */
  jobTaken(attempt: number, waitedSeconds: number): void;
  jobEnded(result: JobResult, seconds: number): void;
  withheld(what: 'preview' | 'progress'): void;
  /** What a job used of a tier. */
  readonly used: (use: JobUsage['uses'][number]) => void;
  /** A run has made room for a job of another tenant. */
  jobPreempted(): void;
}

const SECONDS = [0.005, 0.02, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600];

export function createWorkerMetrics(read: {
  runningJobs: () => number;
  /** Tries of webhook deliveries by what came of them. */
  webhooks: () => Readonly<Record<string, number>>;
  redisTrouble: () => Promise<string | undefined>;
  overload: Pick<OverloadWatch, 'level' | 'state'>;
  onFailed: (error: unknown, name: string) => void;
}): WorkerMetrics {
  const metrics = createMetrics('worker', read.onFailed);
  const runs = metrics.histogram({
    name: 'comfy_job_run_seconds',
    help: 'Time from taking a job to its end, by outcome',
    labelNames: ['outcome'],
    buckets: SECONDS,
  });
  const waits = metrics.histogram({
    name: 'comfy_job_wait_seconds',
    help: 'Time from accepting a job to its first run',
    labelNames: [],
    buckets: [...SECONDS, 1_800, 3_600],
  });
  const redelivered = metrics.counter({
    name: 'comfy_jobs_redelivered_total',
    help: 'Runs of jobs whose earlier run was lost with its worker',
    labelNames: [],
  });
  const preempted = metrics.counter({
    name: 'comfy_jobs_preempted_total',
    help: 'Runs that made room for a job of a plan that preempts, and went back into the queue',
    labelNames: [],
  });
  const failed = metrics.counter({
    name: 'comfy_jobs_failed_total',
    help: 'Jobs that ended in execution_error, by error code',
    labelNames: ['type'],
  });
  const count = (name: string, help: string) =>
    metrics.counter({ name, help, labelNames: ['tier'] });
  const usedSeconds = count(
    'comfy_usage_run_seconds_total',
    'Seconds that attempts of ended jobs took, by tier',
  );
  const usedImages = count('comfy_usage_images_total', 'Pictures that tiers made, by tier');
  const usedMegapixels = count(
    'comfy_usage_megapixels_total',
    'Millions of pixels of these pictures, by tier',
  );
  const usedCost = count(
    'comfy_usage_cost_total',
    'What ended jobs cost at the prices of the configuration, by tier',
  );
  metrics.gauge({
    name: 'comfy_jobs_running',
    help: 'Jobs this worker runs now',
    read: read.runningJobs,
  });
  metrics.gauge({
    name: 'comfy_redis_up',
    help: '1 when Redis takes writes of this process, else 0',
    read: async () => ((await read.redisTrouble()) === undefined ? 1 : 0),
  });
  metrics.readings({
    kind: 'counter',
    name: 'comfy_webhook_deliveries_total',
    help: 'Tries of webhook deliveries, by outcome: delivered, retry (failed, and tried again later), dead (given up), dropped (progress that failed or gave way)',
    read: () =>
      Promise.resolve(
        Object.entries(read.webhooks()).map(([outcome, value]) => ({ labels: { outcome }, value })),
      ),
  });
  addOverloadMetrics(metrics, read.overload);
  const withheld = metrics.counter({
    name: 'comfy_overload_withheld_total',
    help: 'Previews, and messages of progress, that were not sent because of overload',
    labelNames: ['what'],
  });
  return {
    registry: metrics.registry,
    withheld: (what) => {
      withheld.inc({ what });
    },
    jobTaken: (attempt, waitedSeconds) => {
      if (attempt > 1) redelivered.inc();
      else waits.observe(waitedSeconds);
    },
    used: ({ tier, runMs, images, pixels, costMicros }) => {
      usedSeconds.inc({ tier }, runMs / 1_000);
      usedImages.inc({ tier }, images);
      usedMegapixels.inc({ tier }, pixels / 1_000_000);
      usedCost.inc({ tier }, costMicros / MICROS);
    },
    jobPreempted: () => {
      preempted.inc();
    },
    jobEnded: ({ outcome, terminal }, seconds) => {
      runs.observe({ outcome }, seconds);
      if (terminal.type === 'execution_error') failed.inc({ type: typeOf(terminal.data) });
    },
  };
}

/** A code of the catalogue: what nodes call their exceptions is not bounded. */
function typeOf({ exception_type: type }: { readonly exception_type: string }): string {
  return type in ERRORS ? type : 'node_failed';
}
