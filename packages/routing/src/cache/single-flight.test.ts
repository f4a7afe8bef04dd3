import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { RedisNames } from '@tiercel/contracts';
import { connectRedis, createLogger, type Redis } from '@tiercel/runtime';
import { startTestRedis, stopEverything, type TestRedis, until } from '@tiercel/testkit';
import { hashCacheKey } from './cache-key.ts';
import type { CachedJob } from './cached-job.ts';
import type { FlightRole } from './single-flight.ts';
import { ResultCache } from './result-cache.ts';
import { jobOf, keyOf, LIMITS } from './test-cache.ts';

const PREFIX = 'flighttest';
const names = new RedisNames(PREFIX);
const log = createLogger({ level: 'silent', name: 'test' });
const key = keyOf({ '9': 'node-key' });
const job = jobOf({ '9': 'a.png' });
const never = () => new AbortController().signal;
const files = new Set<string>();
let server: TestRedis;
const open: Redis[] = [];

beforeAll(async () => {
  server = await startTestRedis();
});

beforeEach(async () => {
  await server.flush();
  files.clear();
  files.add('a.png');
});

afterAll(async () => {
  for (const redis of open) redis.disconnect();
  await stopEverything();
});

/** A worker of its own: `die` takes its connection away, which is all that Redis sees of a kill. */
function startWorker(options: { leaseMs?: number } = {}) {
  const redis = connectRedis(server.url, 'patient', log);
  open.push(redis);
  const cache = new ResultCache({
    ...{ redis, prefix: PREFIX, ...options },
    limits: LIMITS,
    outputVersion: ({ filename }) => Promise.resolve(files.has(filename) ? '' : undefined),
  });
  return {
    cache,
    redis,
    die: () => {
      redis.disconnect();
    },
  };
}

function expectLeader(flight: FlightRole): Extract<FlightRole, { kind: 'leader' }> {
  if (flight.kind !== 'leader') throw new Error('not the leader');
  return flight;
}

function expectFollower(flight: FlightRole): Extract<FlightRole, { kind: 'follower' }> {
  if (flight.kind !== 'follower') throw new Error('not a follower');
  return flight;
}

const store = (cache: ResultCache) => cache.store(key, job, { bytes: 10, degraded: false });

describe('equal requests in flight', () => {
  test('one leads, on whichever worker, and the others find its result', async () => {
    const [one, two] = [startWorker(), startWorker()];
    const leader = expectLeader(await one.cache.claim(key));
    const follower = expectFollower(await two.cache.claim(key));
    const waiting = follower.wait(never());
    await store(one.cache);
    await leader.done();
    expect(await waiting).toBe('stored');
    expect(await two.cache.find(key)).toEqual(job);
  });

  test('different requests do not wait for each other', async () => {
    const { cache } = startWorker();
    const first = expectLeader(await cache.claim(key));
    const second = expectLeader(await cache.claim({ ...key, scope: 'another tenant' }));
    await first.done();
    await second.done();
  });

  test('a leader that fails lets a follower lead', async () => {
    const [one, two] = [startWorker(), startWorker()];
    const leader = expectLeader(await one.cache.claim(key));
    const waiting = expectFollower(await two.cache.claim(key)).wait(never());
    await leader.done();
    expect(await waiting).toBe('leader_gone');
    const next = expectLeader(await two.cache.claim(key));
    // A second done of the first leader does not end the second one's flight.
    await leader.done();
    expectFollower(await one.cache.claim(key));
    await next.done();
  });

  test('a leader that was killed lets a follower lead when its lease has run out', async () => {
    const [one, two] = [startWorker({ leaseMs: 500 }), startWorker()];
    const dead = expectLeader(await one.cache.claim(key));
    const waiting = expectFollower(await two.cache.claim(key)).wait(never());
    one.die();
    expect(await waiting).toBe('leader_gone');
    await expectLeader(await two.cache.claim(key)).done();
    await dead.done(); // stops its timer; its connection is gone
  });

  test('a leader that was killed after it had stored has not worked in vain', async () => {
    const [one, two] = [startWorker(), startWorker()];
    const dead = expectLeader(await one.cache.claim(key));
    const waiting = expectFollower(await two.cache.claim(key)).wait(never());
    await store(one.cache);
    one.die();
    expect(await waiting).toBe('stored');
    await dead.done();
  });

  test('a leader that lives keeps its lease for as long as its work takes', async () => {
    const { cache, redis } = startWorker({ leaseMs: 1_200 });
    const leader = expectLeader(await cache.claim(key));
    const lease = () => redis.pttl(names.flight(hashCacheKey(key)));
    for (let renewals = 0; renewals < 3; renewals += 1) {
      let least = await lease();
      await until(async () => {
        const left = await lease();
        if (left < least) least = left;
        return left > least + 100;
      });
    }
    expectFollower(await cache.claim(key));
    await leader.done();
    expect(await lease()).toBe(-2);
  });

  test('a leader that lost its lease to another does not take it back', async () => {
    const [one, two] = [startWorker({ leaseMs: 300 }), startWorker()];
    const late = expectLeader(await one.cache.claim(key));
    await one.redis.del(names.flight(hashCacheKey(key)));
    const leader = expectLeader(await two.cache.claim(key));
    await late.done();
    const follower = expectFollower(await one.cache.claim(key));
    await leader.done();
    expect(await follower.wait(never())).toBe('leader_gone');
  });

  test('a follower stops waiting as soon as its own job is stopped', async () => {
    const { cache } = startWorker();
    const leader = expectLeader(await cache.claim(key));
    const stop = new AbortController();
    const waiting = expectFollower(await cache.claim(key)).wait(stop.signal);
    const reason = new Error('interrupted');
    stop.abort(reason);
    await expect(waiting).rejects.toMatchObject({ cause: reason });
    await leader.done();
  });

  test('a follower stops waiting also while Redis does not answer', async () => {
    const [one, two] = [startWorker(), startWorker()];
    const leader = expectLeader(await one.cache.claim(key));
    const follower = expectFollower(await two.cache.claim(key));
    await server.stop();
    const stop = new AbortController();
    const waiting = follower.wait(stop.signal);
    stop.abort();
    await expect(waiting).rejects.toThrow('aborted');
    await server.restart();
    await leader.done();
  });

  test('a claim after the result was stored does not run the job again', async () => {
    const [one, two] = [startWorker(), startWorker()];
    const leader = expectLeader(await one.cache.claim(key));
    expect(await two.cache.find(key)).toBeUndefined();
    await store(one.cache);
    await leader.done();
    const follower = expectFollower(await two.cache.claim(key));
    expect(await follower.wait(never())).toBe('stored');
  });

  test('a stored result whose files are gone lets the next claim lead', async () => {
    const { cache } = startWorker();
    await store(cache);
    files.clear();
    expect(await expectFollower(await cache.claim(key)).wait(never())).toBe('stored');
    expect(await cache.find(key)).toBeUndefined();
    await expectLeader(await cache.claim(key)).done();
  });

  test('a hundred at once on two workers: never two leaders, and one run when it succeeds', async () => {
    const workers = [startWorker(), startWorker()];
    let leading = 0;
    let most = 0;
    let runs = 0;
    const failures = 2;
    const serve = async (cache: ResultCache): Promise<CachedJob> => {
      for (;;) {
        const found = await cache.find(key);
        if (found !== undefined) return found;
        const flight = await cache.claim(key);
        if (flight.kind === 'follower') {
          await flight.wait(never());
          continue;
        }
        leading += 1;
        most = Math.max(most, leading);
        runs += 1;
        const fails = runs <= failures;
        // Turns of Redis pass while it works.
        for (let turn = 0; turn < 20; turn += 1) await cache.find(key);
        if (!fails) await store(cache);
        leading -= 1;
        await flight.done();
        if (!fails) return job;
      }
    };
    const results = await Promise.all(
      Array.from({ length: 100 }, (_, index) => serve(workers[index % 2]!.cache)),
    );
    expect(results).toEqual(results.map(() => job));
    expect(most).toBe(1);
    expect(runs).toBe(failures + 1);
  });
});
