import {
  addTierCounts,
  createTierCounts,
  DEFAULT_POOL,
  type WorkerCapabilities,
} from '@tiercel/contracts';
import {
  addOverloadMetrics,
  addTierMetrics,
  createMetrics,
  type Metrics,
  type MetricsRegistry,
  type OverloadWatch,
  type Sample,
  type TierReading,
} from '@tiercel/runtime';
import type { PlanLoad } from './plan-loads.ts';
import type { SocketCounters } from './sockets/socket-counters.ts';

type Worker = Pick<WorkerCapabilities, 'tiers' | 'running' | 'pool'>;

export interface ApiMetrics {
  readonly registry: MetricsRegistry;
  /** @param route one of a bounded set: the pattern of a route, or a word in brackets */
  readonly countRequest: (method: string, route: string, status: string) => void;
  /** @param outcome accepted, repeated, rejected, or a code of the error catalogue */
  readonly countAdmission: (outcome: string) => void;
  /** @param seconds between what was said of a job and what came, without sign */
  readonly observeEstimate: (of: 'start' | 'end', seconds: number) => void;
}

/** What an API process shows of itself; read when it is scraped. */
export function createApiMetrics(read: {
  sockets: () => number;
  counters: () => ReturnType<SocketCounters['read']>;
  /** Numbers of jobs in the whole system. */
  queue: () => Promise<{ pending: number; running: number }>;
  pendingBytes: () => Promise<number>;
  /** Age in seconds of the job that has waited longest; 0 when none waits. */
  oldestPendingSeconds: () => Promise<number>;
  /** By the plans of their tenants, in the whole system. */
  planLoads: () => Promise<readonly PlanLoad[]>;
  /** API keys by state. */
  keys: () => Promise<Readonly<Record<string, number>>>;
  /** Deliveries of webhooks in the whole system. */
  webhooks: () => Promise<{ waiting: number; dead: number }>;
  /** Capabilities of the workers that are up. */
  workers: () => readonly Worker[];
  /** Whether this process shows what workers counted. */
  showsCounts: () => Promise<boolean>;
  redisTrouble: () => Promise<string | undefined>;
  overload: Pick<OverloadWatch, 'level' | 'state'>;
  onFailed: (error: unknown, name: string) => void;
}): ApiMetrics {
  const metrics = createMetrics('api', read.onFailed);
  // Read once for the three that show it.
  const queue = shareReads(read.queue);
  metrics.gauge({ name: 'comfy_sockets_open', help: 'WebSocket connections', read: read.sockets });
  metrics.gauge({
    name: 'comfy_queue_remaining',
    help: 'Jobs pending or running, in the whole system',
    read: async () => {
      const { pending, running } = await queue();
      return pending + running;
    },
  });
  metrics.gauge({
    name: 'comfy_queue_pending',
    help: 'Jobs that wait, in the whole system',
    read: async () => (await queue()).pending,
  });
  metrics.gauge({
    name: 'comfy_queue_running',
    help: 'Jobs that run, in the whole system',
    read: async () => (await queue()).running,
  });
  metrics.gauge({
    name: 'comfy_workers_live',
    help: 'Workers that announce themselves, in the whole system',
    read: () => read.workers().length,
  });
  metrics.gauge({
    name: 'comfy_redis_up',
    help: '1 when Redis takes writes of this process, else 0',
    read: async () => ((await read.redisTrouble()) === undefined ? 1 : 0),
  });
  metrics.gauge({
    name: 'comfy_queue_pending_bytes',
    help: 'Bytes that callers sent with all pending jobs, in the whole system',
    read: read.pendingBytes,
  });
  metrics.gauge({
    name: 'comfy_webhook_deliveries_waiting',
    help: 'Deliveries of webhooks that wait, for their turn or for another try, in the whole system',
    read: async () => (await read.webhooks()).waiting,
  });
  metrics.gauge({
    name: 'comfy_webhook_dead_letters',
    help: 'Deliveries of webhooks that were given up and are kept, in the whole system',
    read: async () => (await read.webhooks()).dead,
  });
  metrics.gauge({
    name: 'comfy_queue_oldest_pending_seconds',
    help: 'How long the job that has waited longest has waited, in the whole system; 0 when none waits',
    read: read.oldestPendingSeconds,
  });
  addPlanMetrics(metrics, read.planLoads);
  metrics.readings({
    kind: 'gauge',
    name: 'comfy_pool_running',
    help: 'Jobs that the workers of a pool run, as they said last (5 s), in the whole system',
    read: () => Promise.resolve(sumPools(read.workers())),
  });
  metrics.readings({
    kind: 'gauge',
    name: 'comfy_keys',
    help: 'API keys by state, in the whole system; ended ones are kept for 30 days',
    read: async () =>
      Object.entries(await read.keys()).map(([state, value]) => ({ labels: { state }, value })),
  });
  addOverloadMetrics(metrics, read.overload);
  metrics.gauge({
    name: 'comfy_overload_queue_age_seconds',
    help: 'How long the tenants whose turn is next have waited for it, in the whole system, as far as overload asks for it',
    read: () => read.overload.state.queueAgeMs / 1_000,
  });
  const admissions = metrics.counter({
    name: 'comfy_admissions_total',
    help: 'Prompts posted, by outcome: accepted; repeated, answered as before; rejected, cannot run; else the code of the refusal',
    labelNames: ['outcome'],
  });
  const estimateErrors = metrics.histogram({
    name: 'comfy_estimate_error_seconds',
    help: 'Time between the first estimate of a job’s start or end that this process gave, or made for this metric, and the truth',
    labelNames: ['of'],
    buckets: [0.1, 0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600, 1_800, 3_600],
  });
  addSocketCounters(metrics, read.counters);
  // Counts of a worker that has gone go with it, as with any process that stops being scraped.
  addTierMetrics(metrics, async () => sumTiers(read.workers(), await read.showsCounts()));
  const requests = metrics.counter({
    name: 'comfy_http_requests_total',
    help: 'Requests answered, by method, route and status; aborted: the caller left before',
    labelNames: ['method', 'route', 'status'],
  });
  return {
    registry: metrics.registry,
    observeEstimate: (of, seconds) => {
      estimateErrors.observe({ of }, seconds);
    },
    countAdmission: (outcome) => {
      admissions.inc({ outcome });
    },
    countRequest: (method, route, status) => {
      requests.inc({ method: METHODS.has(method) ? method : 'other', route, status });
    },
  };
}

/** What callers make up is not to become labels. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

function addPlanMetrics(metrics: Metrics, read: () => Promise<readonly PlanLoad[]>): void {
  // Read once for the two that show it.
  const loads = shareReads(read);
  for (const [state, does] of [
    ['pending', 'wait'],
    ['running', 'run'],
  ] as const) {
    metrics.readings({
      kind: 'gauge',
      name: `comfy_plan_${state}`,
      help: `Jobs that ${does}, by the plans of their tenants, in the whole system; none: without a plan, other: a plan that is no more`,
      read: async () =>
        (await loads()).map(({ plan, [state]: value }) => ({ labels: { plan }, value })),
    });
  }
}

/** Who asks while an answer is on its way gets the same. */
function shareReads<T>(read: () => Promise<T>): () => Promise<T> {
  let reading: Promise<T> | undefined;
  return () =>
    (reading ??= read().finally(() => {
      reading = undefined;
    }));
}

function sumPools(workers: readonly Worker[]): Sample[] {
  const sums = new Map([[DEFAULT_POOL, 0]]);
  for (const { pool = DEFAULT_POOL, running } of workers)
    sums.set(pool, (sums.get(pool) ?? 0) + running);
  return [...sums].map(([pool, value]) => ({ labels: { pool }, value }));
}

/** Every tier of every worker, counts added up if they are shown here; all workers see the same breaker. */
function sumTiers(workers: readonly Worker[], showsCounts: boolean): TierReading[] {
  const sums = new Map<string, TierReading>();
  for (const { name, breaker = 'closed', counts } of workers.flatMap(({ tiers }) => tiers)) {
    const sum = sums.get(name)?.counts ?? createTierCounts();
    const isShown = showsCounts && counts !== undefined;
    sums.set(name, { tier: name, breaker, counts: isShown ? addTierCounts(sum, counts) : sum });
  }
  return [...sums.values()];
}

function addSocketCounters(metrics: Metrics, read: () => ReturnType<SocketCounters['read']>): void {
  const count = (
    name: string,
    help: string,
    values: (counts: ReturnType<SocketCounters['read']>) => Readonly<Record<string, number>>,
    label?: string,
  ) => {
    metrics.readings({
      ...{ kind: 'counter', name, help },
      read: () =>
        Promise.resolve(
          Object.entries(values(read())).map(([key, value]) => ({
            labels: label === undefined ? {} : { [label]: key },
            value,
          })),
        ),
    });
  };
  count(
    'comfy_subscription_gaps_total',
    'Times in which messages of Redis may have been missed',
    ({ gaps }) => ({ gaps }),
  );
  count(
    'comfy_repaired_items_total',
    'What was told late after a gap, from the records: ends of jobs, states of running ones, event streams',
    ({ repaired }) => repaired,
    'kind',
  );
  count(
    'comfy_previews_dropped_total',
    'Previews that slow sockets were not sent',
    ({ previewsDropped }) => ({ previewsDropped }),
  );
  count(
    'comfy_slow_closed_total',
    'Sockets and event streams closed because they read too slowly',
    ({ slowClosed }) => slowClosed,
    'kind',
  );
}
