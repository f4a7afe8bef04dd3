import { createServer, type Server } from 'node:http';
import { AppError } from '@tiercel/contracts';
import type { MetricsRegistry } from './metrics.ts';

/** Serves /metrics and /health for a process that has no other HTTP face. */
export function serveMetrics(options: {
  host: string;
  port: number;
  registry: MetricsRegistry;
}): Promise<Server> {
  const server = createServer((req, res) => {
    if (req.url === '/health') {
      res.writeHead(200, { 'content-type': 'text/plain' }).end('ok\n');
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
