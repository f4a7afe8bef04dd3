import { createServer, type Server } from 'node:http';
import { AppError } from '@tiercel/contracts';
import type { Health } from './health.ts';
import type { MetricsRegistry } from './metrics.ts';

/**
 * Serves /metrics, /health (200 while the process answers, as /health/live) and /health/ready for a process
 * that has no other HTTP face.
 */
export function serveMetrics(options: {
  host: string;
  port: number;
  registry: MetricsRegistry;
  health: Health;
}): Promise<Server> {
  const server = createServer((req, res) => {
    if (req.url === '/health' || req.url === '/health/live') {
      res.writeHead(200, { 'content-type': 'text/plain' }).end('ok\n');
      return;
    }
    if (req.url === '/health/ready') {
      void options.health.read().then(({ ready, checks }) => {
        res.writeHead(ready ? 200 : 503, { 'content-type': 'application/json' });
        res.end(JSON.stringify({ ready, ...checks }));
      });
      return;
    }
    if (req.url !== '/metrics') {
      res.writeHead(404).end();
      return;
    }
    options.registry.metrics().then(
      (text) => res.writeHead(200, { 'content-type': options.registry.contentType }).end(text),
      () => res.writeHead(500).end(),
    );
  });
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const message = `METRICS_PORT ${options.port} on ${options.host} cannot be used: ${cause.code ?? 'unknown'}.`;
      reject(new AppError('port_in_use', message, { cause }));
    });
    server.listen(options.port, options.host, () => {
      resolve(server);
    });
  });
}
