import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { UsageStore, type PolicyStore } from '@tiercel/accounts';
import { DEFAULT_TENANT, type JobNeeds } from '@tiercel/contracts';
import {
  WorkerRegistry,
  EventReplay,
  EventSubscriber,
  OverloadBoard,
  publishControl,
} from '@tiercel/events';
import { MemoryBudget, PictureEditor } from '@tiercel/pictures';
import {
  createPermitQueue,
  Editor,
  EstimateErrors,
  Forecaster,
  Producer,
  Reader,
  TenantLoads,
} from '@tiercel/queue';
import {
  Health,
  isUsageKept,
  loadSecretKey,
  OverloadWatch,
  reportAccepting,
  reportReady,
  requireClosedNetwork,
  runMain,
  serveMetrics,
  sleep,
  startProcess,
  systemClock,
} from '@tiercel/runtime';
import { TenantFiles, TenantUsers } from '@tiercel/storage';
import { AddressGuard, DeliveryLog, WebhookStore } from '@tiercel/webhooks';
import { createApiMetrics } from './api-metrics.ts';
import { Catalogue } from './catalogue.ts';
import { FirstWorker } from './first-worker.ts';
import { createCallerCheck, isLoopbackAddress } from './http/caller-check.ts';
import { createApp } from './http/create-app.ts';
import { createHttpServer } from './http/http-server.ts';
import { Admission } from './identity/admission.ts';
import { openAccounts } from './identity/open-accounts.ts';
import { TenantShares } from './identity/tenant-shares.ts';
import { JobEstimates } from './job-estimates.ts';
import { JobProgress } from './job-progress.ts';
import { BodyExaminer } from './json/body-examiner.ts';
import { ServerRefresh } from './server-refresh.ts';
import { MetricsTurn } from './metrics-turn.ts';
import { readPlanLoads } from './plan-loads.ts';
import { createGather } from './proxy/gather.ts';
import { createForward, createVia } from './proxy/proxy.ts';
import { LIBRARY_RULES } from './proxy/proxy-rules.ts';
import { ServerPool } from './proxy/server-pool.ts';
import { createRoutes } from './routes/create-routes.ts';
import { NEW_SYSTEM_SETTINGS } from './routes/settings.ts';
import { featuresOf } from './routes/static-answers.ts';
import { maxFormBytes } from './routes/uploads/form.ts';
import { createUpgrades } from './sockets/serve-upgrades.ts';
import { SocketCounters } from './sockets/socket-counters.ts';
import { SocketHub } from './sockets/socket-hub.ts';
import { WorkersFor } from './workers-for.ts';

const DRAIN_MS = 5_000;
/** For connections that were cut to be gone. */
const CUT_MS = 1_000;
/** Of the memory for pictures: what small previews share; one large picture at a time may have the rest. */
const COMMON_SHARE = 1 / 8;

async function main(): Promise<void> {
  const parts = await startProcess('api', 'commands', requireClosedNetwork);
  const { config, log, lifecycle, names, redis, redisWatch, subscriberConnection } = parts;

  const files = new TenantFiles(config.dataDir);
  const users = new TenantUsers(config.dataDir, {
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
  const processId = `api-${randomUUID()}`;
  const subscriber = new EventSubscriber({
    ...{ subscriberConnection, redis, names, log },
    processId,
  });
  await subscriber.start();
  lifecycle.onClose('subscriber', () => {
    subscriber.stop();
  });
  const catalogue = new Catalogue({
    registry: new WorkerRegistry(redis, names),
    listInputFiles: (tenant) => files.of(tenant).listFiles('input'),
    log,
  });
  await parts.whileStarting(catalogue.start(subscriber));
  lifecycle.onClose('catalogue', () => {
    catalogue.stop();
  });

  const withServers = () => catalogue.workers.filter(({ servers }) => servers.length > 0);
  const serverRefresh = new ServerRefresh({
    hasServers: () => withServers().length > 0,
    publish: (id, wish) => publishControl(redis, names, { type: 'look', id, wish }),
    isAnswered: (id) => withServers().every((worker) => worker.looks.includes(id)),
    onReading: (listener) => catalogue.onReading(listener),
    log,
  });

  const { api } = config;
  const { maxEventBytes } = config.queue;
  const counters = new SocketCounters();
  const pictures = new PictureEditor({
    limits: { maxPixels: api.maxPixels, setting: 'api.maxPixels' },
    memory: new MemoryBudget({
      maxBytes: api.pictureMemoryBytes,
      commonShare: COMMON_SHARE,
      setting: 'api.pictureMemoryBytes',
    }),
  });
  const { gate, login, ...accounts } = await openAccounts(parts);
  // In mode `open` everybody is one tenant, which is not limited.
  const isOpen = config.auth.mode === 'open';
  const forecaster = new Forecaster({
    redis,
    names,
    hands: () => countHands(catalogue.workers, accounts.policy),
  });
  const errors = new EstimateErrors({
    ...{ redis, names, forecaster, log },
    observe: (of, seconds) => {
      metrics.observeEstimate(of, seconds);
    },
  });
  errors.start();
  lifecycle.onClose('errors of estimates', () => {
    errors.stop();
  });
  const estimates = new JobEstimates({ forecaster, errors, isAlwaysTold: !isOpen });
  const board = new OverloadBoard(redis, names);
  const overload = new OverloadWatch({
    ...{ config, log },
    // Who has stopped the queue knows why tenants wait.
    readQueueAgeMs: async () =>
      catalogue.workers.length > 0 && countHands(catalogue.workers, accounts.policy) === 0
        ? 0
        : await reader.readTurnAgeMs(),
    report: (state) => board.reportApi(processId, state),
  });
  overload.start();
  lifecycle.onClose('overload watch', () => {
    overload.stop();
  });
  const hub = new SocketHub({
    ...{ subscriber, replay, reader, counters, estimates },
    readPicture: async ({ file }, tenant) => {
      const found = await files.of(tenant).find(file);
      return found === null ? undefined : await readFile(found.path);
    },
    options: {
      maxSockets: api.maxSockets,
      pingIntervalMs: api.pingIntervalMs,
      statusIntervalMs: () => Math.max(api.statusIntervalMs, overload.statusIntervalMs),
      limits: {
        previewBytes: api.previewBufferBytes,
        progressBytes: api.progressBufferBytes,
        closeBytes: api.maxSocketBufferBytes,
      },
      previewsAlways: api.previews === 'always',
      maxEventBytes,
      features: () => featuresOf(api, catalogue.features),
    },
    log,
  });
  await parts.whileStarting(hub.start());

  const secretKey = loadSecretKey(config.dataDir);
  const guard = new AddressGuard(config.webhooks.allow);
  const store = new WebhookStore({
    ...{ redis, names, secretKey, limits: config.webhooks },
    clock: systemClock,
  });
  const deliveries = new DeliveryLog({ redis, names, store, secretKey, config: config.webhooks });
  const turn = new MetricsTurn(redis, names, randomUUID());
  lifecycle.onClose('metrics turn', () => turn.release());
  const loads = new TenantLoads(redis, names);
  const metrics = createApiMetrics({
    sockets: () => hub.socketCount,
    counters: () => counters.read(),
    queue: () => reader.countWholeQueue(),
    pendingBytes: () => reader.readPendingBytes(),
    oldestPendingSeconds: async () => {
      const { sinceMs, nowMs } = await reader.readOldestPending();
      return (nowMs - sinceMs) / 1_000;
    },
    planLoads: () => readPlanLoads(loads, accounts.policy),
    keys: () => accounts.keys.countByState(),
    webhooks: () => deliveries.readBacklog(),
    workers: () => catalogue.workers,
    showsCounts: () => turn.isMine(),
    redisTrouble: () => redisWatch.check(),
    overload,
    onFailed: (error, name) => {
      log.warn({ err: error, metric: name }, 'a metric could not be read');
    },
  });
  let isDraining = false;
  const health = new Health({
    redis: () => redisWatch.check(),
    store: () => files.of(DEFAULT_TENANT).findWriteProblem(),
    nodes: async () =>
      (await catalogue.isKnown()) ? undefined : 'no worker has announced any yet',
    draining: () => (isDraining ? 'stopping' : undefined),
  });
  const servers = {
    pool: new ServerPool({
      workers: () => catalogue.workers,
      host: hostname(),
      secretKey,
      clock: systemClock,
    }),
    ...{ via: createVia(), clock: systemClock, log },
  };
  const limits = { maxBodyBytes: api.maxBodyBytes, timeoutMs: api.proxyTimeoutMs };
  const forward = createForward({ ...servers, options: { ...api.proxy, ...limits } });
  const forwardFiles = createForward({ ...servers, options: { ...LIBRARY_RULES, ...limits } });
  const gather = createGather(servers);
  const examiner = new BodyExaminer({
    catalogue,
    serverRefresh,
    fileExists: (name, tenant) =>
      files
        .of(tenant)
        .resolveAnnotated(name)
        .then(
          (found) => found !== null,
          () => false,
        ),
    data: {
      dataDir: config.dataDir,
      maxNodes: api.maxPromptNodes,
      maxValues: api.maxJsonValues,
      era: config.compat.era,
    },
    log,
  });
  lifecycle.onClose('reader of large bodies', () => examiner.stop());
  let boundAddress = '';
  const checkCaller = createCallerCheck({
    isOnLoopback: () => isLoopbackAddress(boundAddress),
    allowedHosts: api.allowedHosts,
    corsOrigin: api.corsOrigin,
  });
  const shares = isOpen ? undefined : new TenantShares({ policy: accounts.policy, producer, log });
  lifecycle.onClose('shares of tenants', () => {
    shares?.stop();
  });
  const usage = new UsageStore(redis, names);
  const keptDays = isUsageKept(config) ? config.usage.keptDays : 0;
  const upgrades = createUpgrades(hub, checkCaller, gate);
  const firstWorker = new FirstWorker(catalogue, api.firstWorkerWaitMs);
  const app = createApp(
    createRoutes({
      prompt: {
        ...{ producer, reader, examiner, log },
        tenantOf: (caller) => shares?.of(caller),
        admission: new Admission(accounts.policy, overload, config.tiers),
        countAdmission: metrics.countAdmission,
        workersFor: new WorkersFor({
          fleet: () => catalogue.fleet,
          planOf: ({ tenant, plan }) => (isOpen ? {} : planOf(accounts.policy, tenant, plan)),
          producer,
        }),
        firstWorker,
        ...{ secretKey, store, guard },
        maxBodyBytes: api.maxBodyBytes,
      },
      workflows: { examiner, firstWorker, maxBodyBytes: api.maxBodyBytes },
      queue: { reader, editor, examiner, maxBodyBytes: api.maxBodyBytes },
      jobs: {
        ...{ reader, editor, estimates, progress: new JobProgress({ replay, examiner }) },
        fleet: () => catalogue.fleet,
      },
      events: {
        ...{ reader, replay, subscriber, counters, maxEventBytes },
        maxStreams: api.maxSockets,
        limits: { progressBytes: api.progressBufferBytes, closeBytes: api.maxSocketBufferBytes },
      },
      system: { catalogue, serverRefresh, metrics: metrics.registry, health },
      view: { files, pictures },
      uploads: { files, maxUploadBytes: api.maxUploadBytes, pictures },
      userdata: { users, maxUploadBytes: api.maxUploadBytes },
      settings: { users },
      webhooks: { store, guard, deliveries },
      usage: { usage, keptDays, policy: accounts.policy },
      internal: { files, logs: () => [], gather },
      models: {
        models: async () => {
          await serverRefresh.ask('files');
          return (await catalogue.capabilities()).models;
        },
        embeddings: async () => {
          await serverRefresh.ask('files');
          return (await catalogue.capabilities()).embeddings;
        },
        gather,
        forward: forwardFiles,
      },
      staticAnswers: {
        maxUploadBytes: api.maxUploadBytes,
        extensions: async () => (await catalogue.capabilities()).extensions,
        features: () => catalogue.features,
        nodeReplacements: () => catalogue.nodeReplacements,
        gather,
        forwardFiles,
        publishFree: (body) => publishControl(redis, names, { type: 'free', body }),
        forward,
      },
      admin: {
        ...{ ...accounts, reader, editor, estimates, loads, overload, board, usage, keptDays },
        workers: () => catalogue.workers,
      },
      login,
      findHandshakeRefusal: upgrades.findRefusal,
    }),
    {
      ...{ checkCaller, forward, gate },
      ...{ maxBodyBytes: api.maxBodyBytes, corsOrigin: api.corsOrigin },
      countRequest: metrics.countRequest,
    },
    log,
  );
  if (api.metricsPort !== undefined) {
    const metricsServer = await serveMetrics({
      ...{ host: config.host, port: api.metricsPort, registry: metrics.registry, health },
    });
    lifecycle.onClose('metrics server', () => metricsServer.close());
  }
  const server = createHttpServer({
    handle: app,
    shouldUpgrade: upgrades.shouldUpgrade,
    upgrade: (req, socket, head) => {
      metrics.countRequest('GET', '/ws', '101');
      upgrades.upgrade(req, socket, head);
    },
    maxBodyBytes: Math.max(api.maxBodyBytes, maxFormBytes(api.maxUploadBytes)),
    onUnreadable: (status) => {
      metrics.countRequest('other', '(unreadable)', String(status));
    },
  });
  lifecycle.onClose('http server', () => server.close(DRAIN_MS), DRAIN_MS + CUT_MS);
  // Closed before the server, which waits for every connection to end.
  lifecycle.onClose('sockets', () => {
    hub.stop();
  });
  // First of all, and before anything changes: whoever asks is told to send callers elsewhere.
  const drain = async (): Promise<void> => {
    isDraining = true;
    health.forget();
    await sleep(api.drainDelayMs);
  };
  lifecycle.onClose('drain delay', drain, api.drainDelayMs + CUT_MS);
  const address = await server.listen(config.host, config.port);
  boundAddress = address.address;
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  const baseUrl = `http://${host}:${address.port}`;
  reportReady({ type: 'ready', url: baseUrl });
  void catalogue.whenKnown().then(reportAccepting);
  log.info({ url: baseUrl }, 'api is listening');
}

/** Jobs that the workers run at once; of a pool that is paused or drained none. */
function countHands(
  workers: readonly { readonly concurrency: number; readonly pool: string }[],
  policy: Pick<PolicyStore, 'read'>,
): number {
  const isPaused = (pool: string): boolean => {
    const { paused, drain } = policy.read('pools', pool).effective;
    return paused === true || drain === true;
  };
  return workers.reduce(
    (sum, { concurrency, pool }) => (isPaused(pool) ? sum : sum + concurrency),
    0,
  );
}

/** The plan that counts for a tenant, and what it says of workers. */
function planOf(
  policy: PolicyStore,
  tenant: string,
  plan: string | undefined,
): Pick<JobNeeds, 'plan' | 'pool' | 'tiers'> {
  const { pool, tiers } = policy.effectivePlan(tenant, plan);
  return {
    plan: policy.planOf(tenant, plan),
    pool,
    tiers: tiers === undefined ? undefined : [...tiers],
  };
}

await runMain(main, (line) => {
  process.stderr.write(`${line}\n`);
});
