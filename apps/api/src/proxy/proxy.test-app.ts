import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import type { LiveWorker } from '@tiercel/events';
import { createLogger, loadConfig, systemClock, type Config } from '@tiercel/runtime';
import { createCallerCheck } from '../http/caller-check.ts';
import { createApp } from '../http/create-app.ts';
import { createCallerAddresses } from '../identity/caller-address.ts';
import { createOpenGate } from '../identity/gate.ts';
import { createStaticAnswerRoutes } from '../routes/static-answers.ts';
import { createForward, createVia, type ProxyDeps } from './proxy.ts';
import { ServerPool } from './server-pool.ts';

/** For tests only: an API with the routes that never change, and a proxy to these servers. */
export interface ProxyApp {
  readonly url: string;
  /** What POST /free told the workers. */
  readonly frees: readonly string[];
  close(): Promise<void>;
}

export interface ProxyAppOptions extends Partial<ProxyDeps['options']> {
  readonly corsOrigin?: string;
  /** Whose loopback the servers' addresses mean; default: this machine. */
  readonly host?: string;
}

type Servers = LiveWorker['servers'];

/** What an API without a configuration file proxies. */
export function defaultRules(): Config['api']['proxy'] {
  return loadConfig({ TIERCEL_CONFIG: '/dev/null' }).api.proxy;
}

export async function startProxyApp(
  servers: readonly (string | Servers[number])[],
  change: ProxyAppOptions = {},
): Promise<ProxyApp> {
  const { corsOrigin, host = hostname(), ...options } = change;
  const log = createLogger({ level: 'silent', name: 'test' });
  const listed = servers.map((server) =>
    typeof server === 'string' ? { tier: 'gpu', url: server, healthy: true } : server,
  );
  const workers: LiveWorker[] = [
    {
      ...{ workerId: 'w', host, pid: 1, startedAt: 1, concurrency: 1, pool: 'default', running: 0 },
      ...{ catalogueHash: 'h', models: {}, embeddings: [], devices: [], tiers: [] },
      ...{ servers: listed, extensions: [], features: {}, nodeReplacements: {}, looks: [] },
    },
  ];
  const maxBodyBytes = options.maxBodyBytes ?? 1_000;
  const forward = createForward({
    pool: new ServerPool({
      ...{ workers: () => workers, host: hostname(), clock: systemClock },
      secretKey: Buffer.alloc(32),
    }),
    options: {
      ...defaultRules(),
      ...{ customRoutes: ['/customnode'], timeoutMs: 5_000, ...options, maxBodyBytes },
    },
    via: createVia(),
    clock: systemClock,
    log,
  });
  const frees: string[] = [];
  const routes = createStaticAnswerRoutes({
    maxUploadBytes: 1,
    extensions: () => Promise.resolve(['/extensions/fake/x.js']),
    publishFree: (body) => {
      frees.push(body);
      return Promise.resolve();
    },
    forward,
    forwardFiles: () => Promise.resolve('absent'),
    ...{ features: () => ({}), nodeReplacements: () => ({}), gather: () => Promise.resolve([]) },
  });
  const checkCaller = createCallerCheck({ isOnLoopback: () => true, allowedHosts: [], corsOrigin });
  const gate = createOpenGate(createCallerAddresses([]));
  const server = createServer(
    createApp(routes, { maxBodyBytes, checkCaller, corsOrigin, forward, gate }, log),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo; // not a pipe: it listens on a port
  return {
    url: `http://127.0.0.1:${port}`,
    frees,
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}
