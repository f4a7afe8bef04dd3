import { addTierCounts, createTierCounts, type Announcement } from '@tiercel/contracts';
import {
  addTierMetrics,
  createMetrics,
  type MetricsRegistry,
  type TierReading,
} from '@tiercel/runtime';

export interface ApiMetrics {
  readonly registry: MetricsRegistry;
}

/** What an API process shows of itself; read when it is scraped. */
export function createApiMetrics(read: {
  sockets: () => number;
  queueRemaining: () => Promise<number>;
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
