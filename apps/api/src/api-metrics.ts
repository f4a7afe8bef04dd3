import { createMetrics, type MetricsRegistry } from '@tiercel/runtime';

export interface ApiMetrics {
  readonly registry: MetricsRegistry;
}

/** What an API process shows of itself; read when it is scraped. */
export function createApiMetrics(read: {
  sockets: () => number;
  queueRemaining: () => Promise<number>;
}): ApiMetrics {
  const metrics = createMetrics('api');
  metrics.gauge({ name: 'comfy_sockets_open', help: 'WebSocket connections', read: read.sockets });
  metrics.gauge({
    name: 'comfy_queue_remaining',
    help: 'Jobs pending or running, in the whole system',
    read: read.queueRemaining,
  });
  return { registry: metrics.registry };
}
