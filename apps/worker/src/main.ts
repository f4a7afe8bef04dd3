import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { DEFAULT_TENANT, promptIdOf, SECRET_MEMBERS, workerId } from '@tiercel/contracts';
import {
  WorkerRegistry,
  EventPublisher,
  EventSubscriber,
  OverloadBoard,
  publishControl,
} from '@tiercel/events';
import {
  Consumer,
  createPermitQueue,
  Editor,
  Kinds,
  PermitRunner,
  Producer,
  Sweeper,
} from '@tiercel/queue';
import { TierStateStore, TierRouter } from '@tiercel/routing';
import {
  blockedMs,
  createSecretMask,
  Health,
  inTime,
  isUsageKept,
  listSecrets,
  loadSecretKey,
  OverloadWatch,
  reportReady,
  runMain,
  serveMetrics,
  startProcess,
  systemClock,
} from '@tiercel/runtime';
import { TenantFiles } from '@tiercel/storage';
import { WebhookCounters } from '@tiercel/webhooks';
import { Heartbeat } from './heartbeat.ts';
import { ConfigWatcher } from './config-watcher.ts';
import { createBackends } from './create-backends.ts';
import { createSharedResults } from './create-shared-results.ts';
import { createCapabilitiesReader } from './describe-capabilities.ts';
import { listenForInterrupts } from './listen-for-interrupts.ts';
import { JobAccounts } from './job-accounts.ts';
import { JobProcessor } from './job-processor.ts';
import { Preemption } from './preemption.ts';
import { RunningJobs } from './running-jobs.ts';
import { obey } from './obey.ts';
import { createOtherWorkers, readNeeds } from './other-workers.ts';
import { readPool } from './pool-rules.ts';
import { startWebhooks } from './start-webhooks.ts';
import { stopLimitMs, stopWorking } from './stop-working.ts';
import { TierCounters } from './tier-counters.ts';
import { TempCleaner } from './temp-cleaner.ts';
import { Watchdog } from './watchdog.ts';
import { followPauses } from './follow-pauses.ts';
import { followPolicy, openPolicy, readJobLimits } from './live-policy.ts';
import { createWorkerMetrics } from './worker-metrics.ts';

const SWEEP_INTERVAL_MS = 2_000;
const RELEASE_AFTER_MS = 3_000;
/** For all waiting jobs to be judged with this worker in mind; those that are left have to be put back by it. */
const FIRST_JUDGING_MS = 20_000;

async function main(): Promise<void> {
  const parts = await startProcess('worker', 'patient');
  const { config, log, lifecycle, names, redis, redisWatch, subscriberConnection } = parts;
  const clock = systemClock;
  const id = workerId(`${hostname()}-${process.pid}-${randomUUID().slice(0, 8)}`);

  const files = new TenantFiles(config.dataDir);
  const secretKey = loadSecretKey(config.dataDir);
  const backends = await createBackends(parts, id, files, secretKey);

  const policy = await openPolicy(parts);
  const readOwnPool = () => readPool(config.worker.pool, policy);
  const isPaused = (): boolean => readOwnPool().isPaused;

  const watcher = new ConfigWatcher(config, backends.pools, log);
  watcher.start();
  lifecycle.onClose('configuration watcher', () => {
    watcher.stop();
  });

  const bullRedis = parts.connect('blocking');
  const permits = createPermitQueue(bullRedis, names);
  lifecycle.onClose('permit queue', () => permits.close());
  const consumer = new Consumer(redis, names, permits, config.queue);
  const publisher = new EventPublisher(redis, names, config.queue, clock);
  const running = new RunningJobs();
  const { fallback } = config;
  const tierStates = new TierStateStore({
    ...{ redis, names, clock },
    breaker: {
      failures: fallback.breakerFailures,
      openMs: fallback.breakerOpenMs,
      maxOpenMs: fallback.breakerMaxOpenMs,
    },
  });
  const counters = new TierCounters(backends.tiers, tierStates, clock);
  const webhooks = new WebhookCounters();
  const board = new OverloadBoard(redis, names);
  const overload = new OverloadWatch({
    ...{ config, log },
    report: (state) => board.reportWorker(`worker-${id}`, state),
  });
  overload.start();
  lifecycle.onClose('overload watch', () => {
    overload.stop();
  });
  const metrics = createWorkerMetrics({
    webhooks: () => webhooks.read(),
    runningJobs: () => running.count,
    redisTrouble: () => redisWatch.check(),
    overload,
    onFailed: (error, name) => {
      log.warn({ err: error, metric: name }, 'a metric could not be read');
    },
  });
  const router = new TierRouter({
    tiers: backends.tiers.map((tier) => followPolicy(tier, policy, config.worker.pool)),
    tierStates,
    clock,
    options: { policy: fallback.policy, patienceMs: fallback.patienceMs },
    observer: counters,
    log,
    stored: createSharedResults(parts, backends, files),
    configMask: createSecretMask(listSecrets(config), SECRET_MEMBERS),
  });
  const registry = new WorkerRegistry(redis, names);
  // Set when there is somebody to call.
  let followFleet = (): void => undefined;
  const readCapabilities = createCapabilitiesReader(backends, secretKey);
  const heartbeat = new Heartbeat({
    registry,
    workerId: id,
    readPool: readOwnPool,
    concurrency: config.workerConcurrency,
    readCapabilities: async () => readCapabilities(await counters.read()),
    running: () => running.count,
    clock,
    log,
    onProfileChange: () => {
      followFleet();
    },
  });
  const others = createOtherWorkers({ registry, consumer, profile: () => heartbeat.profileId });
  const processor = new JobProcessor({
    consumer,
    publisher,
    router,
    running,
    others,
    options: {
      workerId: id,
      jobTimeoutMs: config.queue.jobTimeoutMs,
      attempts: config.queue.attempts,
      secretKey,
      isPaused,
      limitsOf: (tenant) => readJobLimits(tenant, policy, consumer),
      accounts: isUsageKept(config) ? new JobAccounts({ redis, names, files, config }) : undefined,
    },
    clock,
    log,
    metrics,
    pace: overload,
  });

  const subscriber = new EventSubscriber({
    ...{ subscriberConnection, redis, names, log },
    processId: `worker-${id}`,
  });
  await parts.whileStarting(subscriber.start());
  lifecycle.onClose('subscriber', () => {
    subscriber.stop();
  });
  await parts.whileStarting(listenForInterrupts({ subscriber, running, consumer, log }));

  const watchdog = new Watchdog(blockedMs(config), () => running.ids().map(promptIdOf).join(' '));
  lifecycle.onClose('watchdog', () => watchdog.stop());
  const cleaner = new TempCleaner(files, log);
  cleaner.start();
  lifecycle.onClose('temp cleaner', () => cleaner.stop());
  const kinds = new Kinds(redis, names, permits);
  const sweeper = new Sweeper({
    redis,
    names,
    permits,
    parts: {
      producer: new Producer(redis, names, permits, config.queue),
      consumer,
      editor: new Editor(redis, names),
      fleet: {
        kinds,
        readFleet: () => registry.readFleet(),
        describeNeeds: readNeeds,
      },
    },
    options: {
      intervalMs: SWEEP_INTERVAL_MS,
      releaseAfterMs: RELEASE_AFTER_MS,
      lockMs: config.queue.lockMs,
      historyMaxItems: config.queue.historyMaxItems,
      historyMaxDays: config.queue.historyMaxDays,
    },
    log,
  });
  sweeper.start();
  lifecycle.onClose('sweeper', () => sweeper.stop());

  for (const pool of backends.pools) {
    pool.onCapabilitiesChange(() => {
      heartbeat.sendNow();
    });
    pool.onMessage((event) => {
      publisher.publishToEveryone(event).catch((error: unknown) => {
        log.warn({ err: error, type: event.type }, 'a message to everybody was not published');
      });
    });
  }
  const preemption = new Preemption({
    tell: (message) => publishControl(redis, names, message),
    ...{ consumer, running, isPaused, log },
  });
  const onControl = subscriber.onControl((message) => {
    if (message.type === 'overload') {
      overload.hear(message.process, message.level);
      return;
    }
    obey(message, backends.pools, heartbeat, preemption).catch((error: unknown) => {
      log.warn({ err: error }, 'an order to all workers could not be done');
    });
  });
  await parts.whileStarting(onControl);
  await parts.whileStarting(heartbeat.start());
  lifecycle.onClose('heartbeat', () => heartbeat.stop());

  if (config.metricsPort !== undefined) {
    const server = await serveMetrics({
      host: config.host,
      port: config.metricsPort,
      registry: metrics.registry,
      health: new Health({
        redis: () => redisWatch.check(),
        store: () => files.of(DEFAULT_TENANT).findWriteProblem(),
      }),
    });
    lifecycle.onClose('metrics server', () => server.close());
  }

  startWebhooks(parts, secretKey, webhooks);

  const runner = new PermitRunner({
    redis: bullRedis,
    names,
    options: { concurrency: config.workerConcurrency, lockMs: config.queue.lockMs },
    log,
    run: (lease) => processor.process(lease),
    onDoubt: (permit) => processor.checkClaims(permit),
    addPermit: () => consumer.addPermit(),
  });
  const graceMs = config.worker.shutdownGraceMs;
  lifecycle.onClose(
    'jobs',
    () => stopWorking({ runner, processor, running, log }, graceMs),
    stopLimitMs(graceMs),
  );
  const judge = (): Promise<void> =>
    sweeper.judge().catch((error: unknown) => {
      log.warn({ err: error }, 'jobs could not be judged anew; the sweeper will');
    });
  // Nobody knew of this worker until now: jobs that it is not for must not look as if they were for all.
  await inTime(judge(), FIRST_JUDGING_MS);
  runner.start();
  const onReady = subscriber.onJobsReady((kind) => {
    if (kind.includes(`;${heartbeat.profileId}=`)) void runner.call();
  });
  await parts.whileStarting(onReady);
  /** Jobs became ready for this worker before it was called. */
  const callForKinds = async (): Promise<void> => {
    if (await kinds.haveJobs()) await runner.call();
  };
  followFleet = () => {
    judge()
      .then(callForKinds)
      .catch((error: unknown) => {
        log.debug({ err: error }, 'jobs of a kind could not be looked for; the sweeper calls');
      });
  };
  followFleet();
  policy.onChange(() => {
    heartbeat.sendNow();
  });
  // Whose plan preempts is not asked where everybody is one tenant.
  if (config.auth.mode !== 'open') preemption.start();
  lifecycle.onClose('preemption', () => {
    preemption.stop();
  });
  followPauses({ policy, isPaused, runner, consumer, log });
  reportReady({
    type: 'ready',
    tiers: backends.tiers.map(({ backend }) => `${backend.name} (${backend.driver})`),
  });
  log.info({ workerId: id, concurrency: config.workerConcurrency }, 'worker is ready');
}

await runMain(main, (line) => {
  process.stderr.write(`${line}\n`);
});
