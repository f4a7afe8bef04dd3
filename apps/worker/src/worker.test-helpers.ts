import { afterAll, afterEach, beforeAll, beforeEach } from '@jest/globals';
import { parseJson, RedisNames, workerId, type JobState, type Preview } from '@tiercel/contracts';
import { EventPublisher, EventSubscriber } from '@tiercel/events';
import {
  Consumer,
  createPermitQueue,
  Editor,
  PermitRunner,
  Producer,
  Reader,
} from '@tiercel/queue';
import {
  AttemptStopped,
  TierStateStore,
  TierRouter,
  type AttemptRequest,
  type AttemptResult,
  type Backend,
  type TierAttemptContext,
} from '@tiercel/routing';
import {
  connectRedis,
  createLogger,
  systemClock,
  type ConnectionRole,
  type Redis,
} from '@tiercel/runtime';
import { plainJob, startTestRedis, stopEverything, until, type TestRedis } from '@tiercel/testkit';
import { listenForInterrupts } from './listen-for-interrupts.ts';
import { JobProcessor } from './job-processor.ts';
import type { ReporterPace } from './job-reporter.ts';
import { RunningJobs } from './running-jobs.ts';
import { stopWorking } from './stop-working.ts';
import { createWorkerMetrics } from './worker-metrics.ts';

export const log = createLogger({ level: 'silent', name: 'test' });
export const SECRET_KEY = new Uint8Array(32).fill(7);
/** Short for a test, long for a machine under load. */
const LOCK_MS = 900;
const UNLIMITED_PACE: ReporterPace = { previewIntervalMs: 0, progressIntervalMs: 0 };

/** One run of a job on the backend, which lasts until the test ends it or the worker aborts it. */
interface ManualAttempt {
  readonly request: AttemptRequest;
  readonly context: TierAttemptContext;
  readonly serve: (result?: Partial<AttemptResult>) => void;
  readonly fail: (error: unknown) => void;
}

/** Node 1 showed a picture. */
export const SHOWN = { '1': { images: [{ filename: 'a.png', subfolder: '', type: 'output' }] } };

/** A tier that does what the test says. When it is aborted it stops at node 1, as drivers do. */
class ManualBackend implements Backend {
  readonly name = 'held';
  readonly driver = 'test';
  readonly timeoutMs = 60_000;
  readonly isLocal = true;
  readonly attempts: ManualAttempt[] = [];

  supports(): { ok: true } {
    return { ok: true };
  }

  run(request: AttemptRequest, context: TierAttemptContext): Promise<AttemptResult> {
    return new Promise((resolve, reject) => {
      const stop = (): void => {
        reject(new AttemptStopped({ nodeId: '1', nodeType: 'A', executed: [] }));
      };
      context.signal.addEventListener('abort', stop);
      if (context.signal.aborted) stop();
      const done = { outputs: SHOWN, meta: {}, model: 'm', droppedParams: [], sketch: false };
      this.attempts.push({
        ...{ request, context, fail: reject },
        serve: (result = {}) => {
          resolve({ ...done, ...result });
        },
      });
    });
  }
}

interface TestWorker {
  /** All runs on its backend so far. */
  readonly attempts: readonly ManualAttempt[];
  readonly running: RunningJobs;
  /** Waits for a run. @param index 0 for the first of this worker */
  attempt(index?: number): Promise<ManualAttempt>;
  /** As at SIGTERM. */
  stop(graceMs: number): Promise<void>;
}

interface WorkerOptions {
  readonly concurrency?: number;
  readonly lockMs?: number;
  readonly jobTimeoutMs?: number;
  /** Starts that a job may have (queue.attempts). */
  readonly attempts?: number;
  readonly pace?: ReporterPace;
}

/** An event as listeners are told it. */
export interface ReceivedEvent {
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface Jobs {
  readonly server: TestRedis;
  readonly redis: Redis;
  readonly names: RedisNames;
  /** Accepts a job and lets it be taken. */
  add(id: string, fields?: Partial<Parameters<Producer['enqueue']>[0]>): Promise<void>;
  interrupt(id: string): Promise<void>;
  /** Waits until the job is in a state, and reads what is on record then. */
  inState(id: string, state: JobState): Promise<JobOnRecord>;
  /** What listeners to a job are told from now on; a preview as an event of the type `preview`. */
  listenTo(id: string): Promise<ReceivedEvent[]>;
  /** The permits that wait or are with a worker. */
  countPermits(): Promise<number>;
  /** Takes a job as a worker does that is killed at once, and gives up its permit as the sweeper does. */
  loseRun(id: string): Promise<void>;
  startWorker(options?: WorkerOptions): Promise<TestWorker>;
  connect(role: ConnectionRole): Redis;
}

export interface JobOnRecord {
  readonly attempt: number;
  readonly outputs: unknown;
  readonly meta: unknown;
  readonly messages: readonly (readonly [type: string, data: Readonly<Record<string, unknown>>])[];
  readonly report: unknown;
}

/** For a test file: a real queue on a real Redis, whose names are new for each test, and workers on it. */
export function useJobs(): Jobs {
  // Filled before each test; nothing reads it earlier.
  const jobs = {} as Jobs;
  const closers: (() => unknown)[] = [];
  let server: TestRedis;
  let rounds = 0;
  beforeAll(async () => {
    server = await startTestRedis();
  });
  beforeEach(async () => {
    Object.assign(jobs, await openJobs(server, `worker${(rounds += 1)}`, closers));
  });
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });
  afterAll(stopEverything);
  return jobs;
}

async function openJobs(
  server: TestRedis,
  prefix: string,
  closers: (() => unknown)[],
): Promise<Jobs> {
  const names = new RedisNames(prefix);
  const connect = (role: ConnectionRole): Redis => {
    const redis = connectRedis(server.url, role, log);
    closers.push(() => {
      redis.disconnect();
    });
    return redis;
  };
  const redis = connect('patient');
  const permits = createPermitQueue(connect('blocking'), names);
  closers.push(() => permits.close());
  const producer = new Producer(redis, names, permits, {
    ...{ maxPending: 100, maxPendingBytes: 10_000_000, perClient: 'parallel' },
  });
  const limits = {
    ...{ eventsPerJob: 1_000, eventBytesPerJob: 1_000_000 },
    ...{ eventsTtlSeconds: 60, maxEventBytes: 100_000 },
  };
  const consumer = new Consumer(redis, names, permits, limits);
  const reader = new Reader(redis, names);
  const openSubscriber = async (processId: string): Promise<EventSubscriber> => {
    const subscriberConnection = connect('subscriber');
    const subscriber = new EventSubscriber({ subscriberConnection, redis, names, processId, log });
    closers.push(() => {
      subscriber.stop();
    });
    await subscriber.start();
    return subscriber;
  };
  const subscriber = await openSubscriber('test');
  let workers = 0;

  const startWorker = async (options: WorkerOptions = {}): Promise<TestWorker> => {
    const name = `w${(workers += 1)}`;
    const { concurrency = 1, lockMs = LOCK_MS, jobTimeoutMs = 60_000, attempts = 3 } = options;
    const { pace = UNLIMITED_PACE } = options;
    const ownRedis = connect('patient');
    const bullRedis = connect('blocking');
    const ownPermits = createPermitQueue(bullRedis, names);
    const ownConsumer = new Consumer(ownRedis, names, ownPermits, limits);
    const running = new RunningJobs();
    const backend = new ManualBackend();
    const processor = new JobProcessor({
      ...{ consumer: ownConsumer, running, log, clock: systemClock, pace },
      others: { profile: () => '', find: () => Promise.resolve(undefined) },
      publisher: new EventPublisher(ownRedis, names, limits, systemClock),
      router: new TierRouter({
        tiers: [{ backend, quality: undefined, concurrency: undefined, hedge: false }],
        tierStates: new TierStateStore({
          ...{ redis: ownRedis, names, clock: systemClock },
          breaker: { failures: 3, openMs: 1_000, maxOpenMs: 1_000 },
        }),
        options: { policy: 'any', patienceMs: 0 },
        observer: { attempted: () => undefined, served: () => undefined },
        ...{ clock: systemClock, log, stored: undefined },
      }),
      options: {
        ...{ workerId: workerId(name), jobTimeoutMs, attempts, secretKey: SECRET_KEY },
        isPaused: () => false,
        limitsOf: () => Promise.resolve({}),
      },
      metrics: createWorkerMetrics({
        runningJobs: () => running.count,
        webhooks: () => ({}),
        redisTrouble: () => Promise.resolve(undefined),
        overload: { level: 0, state: { level: 0, lagMs: 0, queueAgeMs: 0 } },
        onFailed: () => undefined,
      }),
    });
    const ownSubscriber = await openSubscriber(name);
    await listenForInterrupts({ subscriber: ownSubscriber, running, consumer: ownConsumer, log });
    const runner = new PermitRunner({
      ...{ redis: bullRedis, names, log, options: { concurrency, lockMs } },
      run: (lease) => processor.process(lease),
      onDoubt: (permit) => processor.checkClaims(permit),
      addPermit: () => ownConsumer.addPermit(),
    });
    let isOver = false;
    const stop = async (graceMs: number): Promise<void> => {
      isOver = true;
      await stopWorking({ runner, processor, running, log }, graceMs);
    };
    closers.push(async () => {
      if (!isOver) await stop(0);
      await ownPermits.close();
    });
    runner.start();
    return {
      ...{ attempts: backend.attempts, running, stop },
      attempt: (index = 0) => until(() => backend.attempts[index]),
    };
  };

  return {
    ...{ server, redis, names, connect, startWorker },
    add: async (id, fields = {}) => {
      const job = { ...plainJob(id), ...fields };
      await producer.enqueue(job);
      await producer.release(job.id, job.tenant?.id);
    },
    interrupt: async (id) => {
      await new Editor(redis, names).interrupt([id]);
    },
    inState: async (id, state) => {
      await until(async () => (await reader.readState(id)) === state);
      const record = await reader.readRecord(id);
      if (record === undefined) throw new Error(`${id} has no record`);
      return {
        attempt: Number(await redis.hget(names.job(id), 'attempt')),
        outputs: parseJson(record.outputsText),
        meta: parseJson(record.metaText),
        // As the processor wrote it: pairs of a type and an object.
        messages: parseJson(record.messagesText) as unknown as JobOnRecord['messages'],
        report: parseJson(record.reportText),
      };
    },
    listenTo: async (id) => {
      const received: ReceivedEvent[] = [];
      const onEvents = ({ lines }: { lines: readonly { frame: string }[] }): void => {
        received.push(...lines.map(({ frame }) => toEvent(frame)));
      };
      const onPreview = (preview: Preview): void => {
        if (preview.promptId !== id) return;
        const { node, mediaType, bytes, forAll } = preview;
        const text = Buffer.from(bytes).toString('latin1');
        received.push({ type: 'preview', data: { node: node.node_id, mediaType, text, forAll } });
      };
      await subscriber.listenToJob(id, { onEvents, onPreview: () => undefined });
      // Previews go to sockets alone: those of a job without a client to everyone.
      await subscriber.listenToEveryone({ onEvents: () => undefined, onPreview });
      return received;
    },
    countPermits: () => permits.getJobCountByTypes('active', 'waiting'),
    loseRun: async (id) => {
      const job = await consumer.take(`lost-${id}`, workerId('dead'));
      if (job?.id !== id) throw new Error(`${id} is not the next job`);
      await consumer.requeue(job.id, job.claimId, { countAttempt: true });
    },
  };
}

/** Frames are written by the house: an object with a type and an object. */
const toEvent = (frame: string): ReceivedEvent => parseJson(frame) as unknown as ReceivedEvent;
