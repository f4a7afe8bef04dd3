import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { promptId, RedisNames } from '@tiercel/contracts';
import { Consumer, createPermitQueue, Editor, Producer, Reader, Sweeper } from '@tiercel/queue';
import { connectRedis, createLogger } from '@tiercel/runtime';
import { onStopEverything, startTestRedis } from '@tiercel/testkit';

const PROGRAM = join(import.meta.dirname, 'serve-worker.mjs');
const PREFIX = 'demo';
/** Short, so that a killed worker's job runs again soon. */
const LOCK_MS = 1_500;

/** A Redis of its own, a queue on it, and worker processes. `tenants` says what the workers have told. */
export async function startFairnessSystem(workers) {
  const { url } = await startTestRedis();
  const log = createLogger({ level: 'silent', name: 'demo' });
  const names = new RedisNames(PREFIX);
  const redis = connectRedis(url, 'blocking', log);
  const permits = createPermitQueue(redis, names);
  const limits = { maxPending: 100_000, maxPendingBytes: 1e9, perClient: 'parallel' };
  const producer = new Producer(redis, names, permits, limits);
  const editor = new Editor(redis, names);
  const reader = new Reader(redis, names);
  const consumer = new Consumer(redis, names, permits, {
    ...{ eventsPerJob: 10, eventBytesPerJob: 100_000 },
    ...{ eventsTtlSeconds: 60, maxEventBytes: 10_000 },
  });
  // In a Tiercel every worker has one.
  const sweeper = new Sweeper({
    ...{ redis, names, permits, log, parts: { producer, consumer, editor } },
    options: {
      ...{ intervalMs: 1_000, releaseAfterMs: 3_000, lockMs: LOCK_MS },
      ...{ historyMaxItems: 100_000, historyMaxDays: 1 },
    },
  });
  sweeper.start();
  onStopEverything(async () => {
    await sweeper.stop();
    await permits.close().catch(() => undefined);
    redis.disconnect();
  });

  const tenants = new Map();
  const tenant = (id) => tenants.get(id);
  const running = new Map();
  const ended = new Set();
  /** Jobs that ended more than once: there must be none. */
  const twice = [];
  const hear = (message) => {
    const known = tenant(message.tenant);
    if (message.type === 'started') {
      running.set(message.id, message.tenant);
      if (message.attempt === 1) {
        known.waiting -= 1;
        known.waits.push(message.waitedMs);
      }
    } else if (message.type === 'ended') {
      running.delete(message.id);
      if (ended.has(message.id)) twice.push(message.id);
      ended.add(message.id);
      known.ended += 1;
      known.ranMs += message.ranMs;
      known.recent.push({ at: performance.now(), ranMs: message.ranMs });
    }
  };
  const children = [];
  for (let n = 0; n < workers; n += 1) {
    const child = fork(PROGRAM, [url, PREFIX, String(LOCK_MS)], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    onStopEverything(() => child.kill('SIGKILL'));
    await once(child, 'message');
    child.on('message', hear);
    children.push(child);
  }

  let added = 0;
  return {
    tenants,
    twice,
    ended,
    get added() {
      return added;
    },
    runningOf: (id) => [...running.values()].filter((owner) => owner === id).length,
    addTenant: (id, limits) => {
      const told = { waiting: 0, ended: 0, ranMs: 0, waits: [], recent: [] };
      tenants.set(id, { ...{ id, limits }, ...told });
    },
    /** An operator's change: it applies to what waits already. */
    setLimits: async (id, limits) => {
      tenant(id).limits = limits;
      await producer.putLimits(id, limits);
    },
    addJob: async (id, runMs) => {
      const job = promptId(`${id}-${(added += 1)}`);
      tenant(id).waiting += 1;
      await producer.enqueue({
        ...{ id: job, bodyHash: job, number: undefined, front: false, clientId: undefined },
        ...{ promptText: JSON.stringify({ runMs }), extraText: '{}', outputIds: [] },
        ...{ nodeErrorsText: '{}', workflowId: undefined, secrets: undefined },
        tenant: { id, limits: tenant(id).limits },
        cost: { signature: `${runMs} ms`, estimateMs: runMs },
      });
      await producer.release(job, id);
    },
    /** Kills the worker that started something last. */
    killWorker: async () => {
      const child = children.pop();
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    },
    /** Removes what waits. @returns how many jobs that were */
    clear: async () => {
      const { pending } = await reader.countWholeQueue();
      for (const id of tenants.keys()) await editor.of(id).clearPending();
      return pending - (await reader.countWholeQueue()).pending;
    },
    countQueue: () => reader.countWholeQueue(),
    countHistory: async () => {
      const ids = [...tenants.keys()].map((id) => reader.of(id).listHistoryIds({}));
      return (await Promise.all(ids)).flat().length;
    },
  };
}
