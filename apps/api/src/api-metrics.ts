import { addTierCounts, createTierCounts, type Announcement } from '@tiercel/contracts';
import {
  addTierMetrics,
  createMetrics,
  type Metrics,
  type MetricsRegistry,
  type TierReading,
} from '@tiercel/runtime';
import type { SocketCounters } from './sockets/socket-counters.ts';

export interface ApiMetrics {
  readonly registry: MetricsRegistry;
}

/** What an API process shows of itself; read when it is scraped. */
export function createApiMetrics(read: {
  sockets: () => number;
  counters: () => ReturnType<SocketCounters['read']>;
  queueRemaining: () => Promise<number>;
  pendingBytes: () => Promise<number>;
  /** Announcements of the workers that are up. */
  workers: () => readonly Pick<Announcement, 'tiers'>[];
}): ApiMetrics {
  const metrics = createMetrics('api');
  metrics.gauge({ name: 'comfy_sockets_open', help: 'WebSocket connections', read: read.sockets });
  metrics.gauge({
    name: 'comfy_queue_remaining',
    help: 'Jobs pending or running, in the whole system',
    read: read.queueRemaining,
  });
  metrics.gauge({
    name: 'comfy_queue_pending_bytes',
    help: 'Bytes that callers sent with all pending jobs, in the whole system',
    read: read.pendingBytes,
  });
  addSocketCounters(metrics, read.counters);
  // Counts of a worker that has gone go with it, as with any process that stops being scraped.
  addTierMetrics(metrics, () => Promise.resolve(sumTiers(read.workers())));
  return { registry: metrics.registry };
}

/** Every tier of every worker, counts added up; all workers see the same breaker. */
function sumTiers(workers: readonly Pick<Announcement, 'tiers'>[]): TierReading[] {
  const sums = new Map<string, TierReading>();
  for (const { name, breaker = 'closed', counts = createTierCounts() } of workers.flatMap(
    ({ tiers }) => tiers,
  )) {
    const sum = sums.get(name);
    sums.set(name, {
      tier: name,
      breaker,
      counts: sum === undefined ? counts : addTierCounts(sum.counts, counts),
    });
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
