import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import { AppError, isAppError } from '@tiercel/contracts';
import { AnnouncementBoard, EventReplay, EventSubscriber, publishControl } from '@tiercel/events';
import { MemoryBudget, PictureEditor } from '@tiercel/pictures';
import { createPermitQueue, Editor, Producer, Reader } from '@tiercel/queue';
import { loadSecretKey, reportReady, runMain, startProcess, systemClock } from '@tiercel/runtime';
import { FileStore, UserStore } from '@tiercel/storage';
import { createApiMetrics } from './api-metrics.ts';
import { Catalogue } from './catalogue.ts';
import { createApp } from './http/create-app.ts';
import { isOriginAllowed } from './http/origin-check.ts';
import { createForward } from './proxy/proxy.ts';
import { ServerPool } from './proxy/server-pool.ts';
import { createEventsRoutes } from './routes/events.ts';
import { createInternalRoutes } from './routes/internal.ts';
import { createJobsRoutes } from './routes/jobs.ts';
import { createModelRoutes } from './routes/models.ts';
import { createPromptRoutes } from './routes/prompt.ts';
import { createQueueRoutes } from './routes/queue.ts';
import { createSettingsRoutes, NEW_SYSTEM_SETTINGS } from './routes/settings.ts';
import { createStaticAnswerRoutes, featuresOf } from './routes/static-answers.ts';
import { createSystemRoutes } from './routes/system.ts';
import { createUploadRoutes } from './routes/uploads.ts';
import { createUserdataRoutes } from './routes/userdata.ts';
import { createViewRoutes } from './routes/view.ts';
import { SocketHub } from './sockets/socket-hub.ts';
import { serveUpgrades } from './sockets/serve-upgrades.ts';

const DRAIN_MS = 5_000;
/** Of the memory for pictures: what small previews share; one large picture at a time may have the rest. */
const COMMON_SHARE = 1 / 8;

async function main(): Promise<void> {
  const { config, log, lifecycle, names, redis, ear } = await startProcess('api', 'commands');

  const files = new FileStore(config.dataDir);
  const user = new UserStore(config.dataDir, {
    initial: NEW_SYSTEM_SETTINGS,
    onUnreadable: () => {
      log.warn(
        'the frontend settings (comfy.settings.json) cannot be read: none are served, and the ' +
          'next change keeps the file beside the new one as comfy.settings.json.unreadable',
      );
    },
  });
  const permits = createPermitQueue(redis, names);
  lifecycle.onClose('permit queue', () => permits.close());
  const producer = new Producer(redis, names, permits, config.queue);
  const reader = new Reader(redis, names);
  const editor = new Editor(redis, names);
  const replay = new EventReplay(redis, names);
  const subscriber = new EventSubscriber(ear, names);
  const catalogue = new Catalogue({
    board: new AnnouncementBoard(redis, names),
    listInputFiles: () => files.listFiles('input'),
    log,
  });
  await catalogue.start(subscriber);
  lifecycle.onClose('catalogue', () => {
    catalogue.stop();
  });

  const { api } = config;
  const pictures = new PictureEditor({
    limits: { maxPixels: api.maxPixels, setting: 'api.maxPixels' },
    memory: new MemoryBudget({
      maxBytes: api.pictureMemoryBytes,
      commonShare: COMMON_SHARE,
      setting: 'api.pictureMemoryBytes',
    }),
  });
  const hub = new SocketHub({
    subscriber,
    replay,
    reader,
    options: {
      maxSockets: api.maxSockets,
      pingIntervalMs: api.pingIntervalMs,
      statusIntervalMs: api.statusIntervalMs,
      limits: {
        previewBytes: api.previewBufferBytes,
        progressBytes: api.progressBufferBytes,
        closeBytes: api.maxSocketBufferBytes,
      },
      features: featuresOf({ maxUploadBytes: api.maxUploadBytes }),
      isOriginAllowed: (req) => api.corsOrigin !== undefined || isOriginAllowed(req.headers),
    },
    log,
  });
  await hub.start();
  // The count may have changed while this process could not hear it.
  ear.on('ready', () => {
    hub.refreshStatus().catch(() => undefined);
  });

  const metrics = createApiMetrics({
    sockets: () => hub.socketCount,
    queueRemaining: () => reader.countRemaining(),
    workers: () => catalogue.workers,
  });
  const forward = createForward({
    pool: new ServerPool({
      workers: () => catalogue.workers,
      host: hostname(),
      clock: systemClock,
    }),
    options: { ...api.proxy, maxBodyBytes: api.maxBodyBytes, timeoutMs: api.proxyTimeoutMs },
    clock: systemClock,
    log,
  });
  const app = createApp(
    [
      ...createPromptRoutes({
        producer,
        reader,
        catalogue,
        fileExists: (name) =>
          files.resolveAnnotated(name).then(
            (found) => found !== null,
            () => false,
          ),
        secretKey: loadSecretKey(config.dataDir),
        maxPromptNodes: api.maxPromptNodes,
        log,
      }),
      ...createQueueRoutes({ reader, editor }),
      ...createJobsRoutes({ reader, editor }),
      ...createEventsRoutes({ reader, replay, subscriber, maxStreams: api.maxSockets }),
      ...createSystemRoutes({
        catalogue,
        metrics: metrics.registry,
        isHealthy: () =>
          redis.ping().then(
            () => true,
            () => false,
          ),
      }),
      ...createViewRoutes({ files, pictures }),
      ...createUploadRoutes({
        files,
        maxUploadBytes: api.maxUploadBytes,
        pictures,
      }),
      ...createUserdataRoutes({ user, maxUploadBytes: api.maxUploadBytes }),
      ...createSettingsRoutes({ user }),
      ...createInternalRoutes({ files, logs: () => [] }),
      ...createModelRoutes({
        models: async () => (await catalogue.offer()).models,
        embeddings: async () => (await catalogue.offer()).embeddings,
      }),
      ...createStaticAnswerRoutes({
        maxUploadBytes: api.maxUploadBytes,
        extensions: async () => (await catalogue.offer()).extensions,
        publishFree: (body) => publishControl(redis, names, { type: 'free', body }),
        forward,
      }),
    ],
    { maxBodyBytes: api.maxBodyBytes, corsOrigin: api.corsOrigin, forward },
    log,
  );
  const server = createServer(app);
  serveUpgrades(server, hub);
  lifecycle.onClose('http server', () => closeServer(server));
  // Closed before the server, which waits for every connection to end.
  lifecycle.onClose('sockets', () => {
    hub.stop();
  });
  const address = await listen(server, config.host, config.port);
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  const baseUrl = `http://${host}:${address.port}`;
  reportReady({ type: 'ready', url: baseUrl });
  log.info({ url: baseUrl }, 'api is listening');
}

function listen(server: Server, host: string, port: number): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const taken = cause.code === 'EADDRINUSE';
      const message = taken
        ? `Port ${port} on ${host} is in use; set PORT to another one.`
        : `Cannot listen on ${host}:${port}: ${cause.code ?? cause.message}.`;
      reject(new AppError('port_in_use', message, { cause }));
    });
    server.listen(port, host, () => {
      // A listening TCP server has an AddressInfo; the other forms are for pipes.
      resolve(server.address() as AddressInfo);
    });
  });
}

/** Answers in flight are finished; idle connections go at once, busy ones after a limit. */
function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const impatience = setTimeout(() => {
      server.closeAllConnections();
    }, DRAIN_MS);
    server.close(() => {
      clearTimeout(impatience);
      resolve();
    });
    server.closeIdleConnections();
  });
}

await runMain(main, (error) => {
  process.stderr.write(isAppError(error) ? `${error.message}\n` : `api: ${String(error)}\n`);
});
