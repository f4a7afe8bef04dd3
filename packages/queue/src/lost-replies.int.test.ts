import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { jobIdOf, promptId, workerId } from '@tiercel/contracts';
import { startRedisProxy, startTestRedis, stopEverything, type RedisProxy } from '@tiercel/testkit';
import { createClaimId } from './consumer.ts';
import type { TakenJob } from './taken-job.ts';
import { Producer } from './producer.ts';
import { another, newJob, openQueueParts, result, type QueueParts } from './queue.test-helpers.ts';

/**
 * A connection that breaks before a reply arrives sends its command again. Whatever the command, that is to make
 * no difference: neither to what it answers, nor to what it leaves behind.
 */

let redisUrl: string;
let proxy: RedisProxy;
let rounds = 0;
const open: QueueParts[] = [];

beforeAll(async () => {
  redisUrl = (await startTestRedis()).url;
  proxy = await startRedisProxy(redisUrl);
});
afterAll(async () => {
  for (const parts of open) await parts.close();
  await stopEverything();
});

interface Scenario {
  /** What is there before. */
  prepare(parts: QueueParts): Promise<void>;
  /** The step whose command is sent twice: the first one that names `lost`. Returns what the caller sees. */
  act(parts: QueueParts): Promise<unknown>;
}

const tenant = { id: 'T', limits: { weight: 2, maxRunning: 1 } };
const cost = { signature: 's', estimateMs: 300 };
/** What the tenant has been charged, and what its jobs are known to cost. */
const readAccount = async ({ redis, names }: QueueParts): Promise<unknown> => [
  await redis.hmget(`${names.prefix}:share:T`, 'new', 'turn'),
  await redis.hgetall(`${names.prefix}:costs`),
  await redis.zcard(names.ofTenant(names.running, 'T')),
];
/** All that is counted of what tenants used. */
const readUsage = async ({ redis, names }: QueueParts): Promise<unknown> => {
  const hashes = await redis.keys(`${names.prefix}:usage:*`);
  const totals = await redis.keys(`${names.prefix}:usage-total:*`);
  const spent = await redis.keys(`${names.prefix}:spent:*`);
  return {
    tenant: await Promise.all(hashes.map((key) => redis.hgetall(key))),
    all: await Promise.all(totals.map((key) => redis.hgetall(key))),
    spent: await Promise.all(spent.map((key) => redis.get(key))),
  };
};
const report = (job: TakenJob | undefined): unknown => job && [job.id, job.attempt, job.promptText];

/** A running job that is to make room for one of another tenant. */
async function choose(parts: QueueParts): Promise<TakenJob> {
  await parts.add('lost', {
    tenant: { id: 'B', limits: { weight: 1, isPreemptible: true } },
    cost,
  });
  const job = await parts.take();
  if (job === undefined) throw new Error('nothing was taken');
  await parts.add('u', { tenant: { id: 'U', limits: { weight: 1, preempts: true } }, cost });
  await parts.redis.hincrby(parts.names.job(jobIdOf('U', 'u')), 'created', -1_000);
  await parts.redis.hset(parts.names.job(job.id), 'estimate_ms', 60_000);
  await parts.redis.hincrby(parts.names.job(job.id), 'taken', -1_000);
  const chosen = await parts.consumer.choosePreempted();
  if (chosen[0]?.claim !== job.claimId) throw new Error('it was not chosen');
  return job;
}
let preempted: TakenJob | undefined;
const thePreempted = (): TakenJob => {
  if (preempted === undefined) throw new Error('nothing was chosen');
  return preempted;
};
const prepareChosen = async (parts: QueueParts): Promise<void> => {
  preempted = await choose(parts);
};

const scenarios: Record<string, Scenario> = {
  'saying that a run goes back': {
    prepare: prepareChosen,
    act: (parts) => parts.consumer.answerPreemption(thePreempted(), 'goes-back'),
  },
  'saying that a run goes on': {
    prepare: prepareChosen,
    act: async (parts) => [
      await parts.consumer.answerPreemption(thePreempted(), 'goes-on'),
      await parts.consumer.choosePreempted(),
    ],
  },
  'handing back what makes room': {
    prepare: prepareChosen,
    act: async (parts) => {
      await parts.consumer.handBack(thePreempted(), { isPreempted: true });
      const key = parts.names.job(jobIdOf('B', 'lost'));
      const lostMs = Number(await parts.redis.hget(key, 'lost_ms'));
      return [await parts.takeIds(2), lostMs >= 1_000 && lostMs < 1_900];
    },
  },
  'accepting a prompt': {
    prepare: async (parts) => {
      await parts.add('before');
    },
    act: async (parts) => [
      await parts.producer.enqueue(newJob('lost', { clientId: 'A' })),
      await parts.producer.enqueue(newJob('after')),
    ],
  },
  'accepting the last prompt that there is room for': {
    prepare: async (parts) => {
      await parts.producer.enqueue(newJob('first'));
    },
    act: ({ redis, names, permits }) =>
      new Producer(redis, names, permits, {
        ...{ maxPending: 2, maxPendingBytes: 1_000_000, perClient: 'serial' },
      }).enqueue(newJob('lost')),
  },
  'accepting the last prompt that a plan allows, with an Idempotency-Key': {
    prepare: () => Promise.resolve(),
    act: async ({ producer, redis, names }) => {
      const admission = { plan: 'p', maxPending: 1, jobsPerDay: 1, intervalMs: undefined };
      const job = { tenant, admission, replayKey: 'key' };
      const accepted = await producer.enqueue(newJob('lost', job));
      const again = await producer.enqueue({
        ...newJob('other', job),
        bodyHash: newJob('lost').bodyHash,
      });
      const [posted = ''] = await redis.keys(`${names.prefix}:posted:*`);
      const refused: unknown = await producer
        .enqueue(newJob('third', { tenant, admission }))
        .catch((error: unknown) => error);
      return [accepted, again, await redis.hgetall(posted), (refused as { code: string }).code];
    },
  },
  'moving a job': {
    prepare: async (parts) => {
      for (const id of ['other', 'lost']) await parts.add(id);
    },
    act: async (parts) => [
      await parts.editor.move('lost', 'front'),
      report(await parts.take()),
      report(await parts.take()),
    ],
  },
  'releasing a job': {
    prepare: async (parts) => {
      await parts.producer.enqueue(newJob('lost'));
    },
    act: (parts) => parts.producer.release(promptId('lost')),
  },
  'taking a job': {
    prepare: async (parts) => {
      for (const id of ['first', 'second']) await parts.add(id, { clientId: id });
    },
    act: async (parts) => report(await parts.take('lost')),
  },
  'taking a job again after its worker died': {
    prepare: async (parts) => {
      for (const id of ['first', 'second']) await parts.add(id);
      await parts.take('lost');
    },
    act: async (parts) => report(await parts.take('lost')),
  },
  'ending a job and taking the next one': {
    prepare: async (parts) => {
      await parts.add('lost', { clientId: 'A' });
      await parts.add('next', { clientId: 'A' });
    },
    act: async (parts) => {
      const job = await parts.take('permit');
      const { next, ...reply } = await parts.consumer.finish(
        job!,
        result('lost'),
        Date.now(),
        another(),
      );
      return [reply, report(next), await parts.finish(next)];
    },
  },
  'ending a job without taking another': {
    prepare: async (parts) => {
      await parts.add('lost', { clientId: 'A' });
      await parts.add('next', { clientId: 'A' });
    },
    act: async (parts) =>
      parts.consumer.finish((await parts.take('permit'))!, result('lost'), Date.now(), undefined),
  },
  'handing a job back': {
    prepare: async (parts) => {
      await parts.add('lost', { clientId: 'A' });
      await parts.add('next', { clientId: 'A' });
    },
    act: async (parts) => {
      await parts.consumer.handBack((await parts.take('permit'))!);
      return report(await parts.take());
    },
  },
  'declining a job': {
    prepare: async (parts) => {
      await parts.add('lost', { clientId: 'A' });
      await parts.add('next', { clientId: 'A' });
    },
    act: async (parts) => {
      await parts.consumer.decline((await parts.take('permit'))!, 'aa', ';bb=0;');
      const { consumer } = parts;
      return [
        report(await consumer.take('p-b', workerId('b'), createClaimId(), 'bb')),
        report(await parts.take()),
      ];
    },
  },
  'judging a job anew': {
    prepare: async (parts) => {
      for (const id of ['lost', 'other']) await parts.add(id, { tenant });
    },
    act: async (parts) => [
      await parts.kinds.write([{ id: jobIdOf(tenant.id, 'lost'), kind: ';bb=0;' }], ''),
      report(await parts.take()),
      await parts.redis.hgetall(`${parts.names.prefix}:kinds`),
    ],
  },
  'starting a job of a tenant with limits': {
    prepare: async (parts) => {
      for (const id of ['lost-a', 'lost-b']) await parts.add(id, { tenant });
    },
    act: async (parts) => [report(await parts.take('lost')), report(await parts.take())],
  },
  'ending a job of a tenant with limits': {
    prepare: async (parts) => {
      for (const id of ['lost', 'next']) await parts.add(id, { tenant, cost });
    },
    act: async (parts) => {
      const job = await parts.take('permit');
      const { next, ...reply } = await parts.consumer.finish(
        job!,
        result('lost', 'success', job!.takenAtMs + 700),
        job!.takenAtMs,
        another(),
      );
      return [reply, report(next), await readAccount(parts)];
    },
  },
  'ending a job whose use is counted': {
    prepare: async (parts) => {
      await parts.add('lost', { tenant });
    },
    act: async (parts) => {
      const job = await parts.take('permit');
      const use = { tier: 'a', images: 2, pixels: 500, runMs: 40, costMicros: 80_000 };
      const usage = { tier: 'a', uses: [use], keptDays: 3 };
      await parts.consumer.finish(job!, result('lost'), Date.now(), undefined, usage);
      return await readUsage(parts);
    },
  },
  'handing a job of a tenant with limits back': {
    prepare: async (parts) => {
      await parts.add('lost', { tenant, cost });
    },
    act: async (parts) => {
      await parts.consumer.handBack((await parts.take('permit'))!);
      return [report(await parts.take()), await readAccount(parts)];
    },
  },
  'changing what a tenant may': {
    prepare: async (parts) => {
      const limits = { ...tenant.limits, weight: 2 };
      for (const id of ['a', 'b']) await parts.add(id, { tenant: { id: 'lost', limits } });
      await parts.take('first');
    },
    act: async (parts) => {
      await parts.producer.putLimits('lost', { weight: 1 });
      return report(await parts.take('second'));
    },
  },
  'noting where a job is done': {
    prepare: async (parts) => {
      await parts.add('job');
    },
    act: async (parts) => {
      const noted = await parts.consumer.saveResumeToken((await parts.take('permit'))!, 'lost');
      return [noted, (await parts.take('permit'))?.resumeToken];
    },
  },
  'deleting pending jobs': {
    prepare: async (parts) => {
      for (const id of ['lost', 'other']) await parts.add(id, { clientId: 'A' });
    },
    act: (parts) => parts.editor.deletePending(['lost', 'other', 'unknown']),
  },
  'cancelling what waits and what runs': {
    prepare: async (parts) => {
      await parts.add('runs');
      await parts.take();
      await parts.add('lost');
    },
    act: (parts) => parts.editor.cancel(['lost', 'runs', 'unknown']),
  },
  'interrupting a job': {
    prepare: async (parts) => {
      await parts.add('lost');
      await parts.take();
    },
    act: (parts) => parts.editor.interrupt(['lost', 'unknown']),
  },
  'deleting from history': {
    prepare: async (parts) => {
      await parts.add('lost');
      await parts.finish(await parts.take());
    },
    act: (parts) => parts.editor.deleteHistory(['lost', 'unknown']),
  },
};

/** All that a caller, an operator or a worker could see afterwards. */
async function look(parts: QueueParts): Promise<unknown> {
  const queue = await parts.reader.listQueueIds();
  const history = await parts.reader.listHistoryIds({});
  const records = await Promise.all(
    [...queue.running, ...queue.pending, ...history].map((id) =>
      parts.redis.hmget(
        parts.names.job(id),
        'id',
        'state',
        'attempt',
        'number',
        'permit',
        'cancel',
      ),
    ),
  );
  const events = await Promise.all(
    history.map((id) => parts.redis.xlen(parts.names.jobEvents(id))),
  );
  const counters = await parts.redis.mget(parts.names.number, parts.names.seq);
  return {
    queue,
    history,
    records,
    events,
    counters,
    permits: await parts.permits.getWaitingCount(),
  };
}

function openParts(url: string, prefix = `round${(rounds += 1)}`): QueueParts {
  const parts = openQueueParts(url, prefix);
  open.push(parts);
  return parts;
}

describe('a command whose reply is lost', () => {
  test.each(Object.entries(scenarios))('%s', async (_, scenario) => {
    const calm = openParts(redisUrl);
    await scenario.prepare(calm);
    const expected = [await scenario.act(calm), await look(calm)];

    const unlucky = openParts(proxy.url);
    await scenario.prepare(openParts(redisUrl, unlucky.names.prefix));
    const lost = proxy.loseReplyTo('lost');
    const seen = [await scenario.act(unlucky), await look(unlucky)];
    await lost;
    expect(seen).toEqual(expected);
  });

  test('that ended a job is answered although the job is out of history by then', async () => {
    const parts = openParts(proxy.url);
    const others = openParts(redisUrl, parts.names.prefix);
    for (const id of ['lost', 'next']) await others.add(id);
    const job = await others.take('permit');
    void proxy.loseReplyTo('lost');
    proxy.before('lost', async () => {
      await others.editor.clearHistory();
    });
    const reply = await parts.consumer.finish(job!, result('lost'), Date.now(), another());
    expect([reply.ours, reply.next?.id, reply.next?.attempt]).toEqual([true, 'next', 1]);
    expect(await others.reader.listHistoryIds({})).toEqual([]);
  });
});
