// The process of one worker: `node serve-worker.mjs REDIS_URL PREFIX LOCK_MS`. It takes jobs as Tiercel's own workers
// do and sleeps for as long as the job says. Ends with its parent.
import { setTimeout as sleep } from 'node:timers/promises';
import { RedisNames, workerId } from '@tiercel/contracts';
import { Consumer, createClaimId, createPermitQueue, PermitRunner } from '@tiercel/queue';
import { connectRedis, createLogger } from '@tiercel/runtime';

const [redisUrl, prefix, lockMs] = process.argv.slice(2);
const log = createLogger({ level: 'silent', name: 'demo' });
const names = new RedisNames(prefix);
const redis = connectRedis(redisUrl, 'blocking', log);
const consumer = new Consumer(redis, names, createPermitQueue(redis, names), {
  ...{ eventsPerJob: 10, eventBytesPerJob: 100_000 },
  ...{ eventsTtlSeconds: 60, maxEventBytes: 10_000 },
});
const worker = workerId(`demo-${process.pid}`);

/** @returns the permit's next job */
async function runOne(job) {
  const { tenant, id, attempt, takenAtMs, createdAt } = job;
  process.send({ type: 'started', tenant, id, attempt, waitedMs: takenAtMs - createdAt });
  const startedAt = performance.now();
  await sleep(JSON.parse(job.promptText).runMs);
  const ranMs = Math.round(performance.now() - startedAt);
  const data = { prompt_id: id, timestamp: takenAtMs + ranMs };
  const { ours, next } = await consumer.finish(
    job,
    {
      ...{ outcome: 'success', outputs: {}, meta: {}, messages: [] },
      terminal: { type: 'execution_success', data },
      report: { served_by: null, attempts: [], degraded: false, dropped_params: [] },
    },
    takenAtMs,
    { worker, claimId: createClaimId() },
  );
  if (ours) process.send({ type: 'ended', tenant, id, ranMs });
  return next;
}

const runner = new PermitRunner({
  ...{ redis: connectRedis(redisUrl, 'blocking', log), names, log },
  options: { concurrency: 1, lockMs: Number(lockMs) },
  run: async ({ permit }) => {
    for (let job = await consumer.take(permit, worker); job !== undefined;) job = await runOne(job);
  },
  onDoubt: () => Promise.resolve(),
});
runner.start();
process.send({ type: 'ready' });
process.on('disconnect', () => process.exit(0));
