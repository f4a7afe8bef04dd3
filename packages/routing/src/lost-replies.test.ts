import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { RedisNames } from '@tiercel/contracts';
import { connectRedis, createLogger, type Redis, systemClock } from '@tiercel/runtime';
import {
  letTimePass,
  startRedisProxy,
  startTestRedis,
  stopEverything,
  type RedisProxy,
} from '@tiercel/testkit';
import { ResultCache } from './cache/result-cache.ts';
import { jobOf, keyOf, LIMITS } from './cache/test-cache.ts';
import { TierStateStore } from './router/tier-state-store.ts';

/**
 * A connection that breaks before a reply arrives sends its command again. Places, breaker signals and leases that all
 * workers share are to come out of that as if nothing had happened.
 */

let redis: Redis;
let proxy: RedisProxy;
let names: RedisNames;
let rounds = 0;

beforeAll(async () => {
  proxy = await startRedisProxy((await startTestRedis()).url);
  const log = createLogger({ level: 'silent', name: 'test' });
  redis = connectRedis(proxy.url, 'patient', log);
});
beforeEach(() => {
  names = new RedisNames(`lost${(rounds += 1)}`);
});
afterAll(async () => {
  redis.disconnect();
  await stopEverything();
});

const { signal } = new AbortController();
const createStore = (
  breaker = { failures: 2, openMs: 60_000, maxOpenMs: 60_000 },
): TierStateStore => new TierStateStore({ redis, names, clock: systemClock, breaker });

/** Does something while the reply to its command, which names `text`, is lost. */
async function unlucky<T>(text: string, act: () => Promise<T>): Promise<T> {
  const lost = proxy.loseReplyTo(text);
  const result = await act();
  await lost;
  return result;
}

async function begin(tierStates: TierStateStore, concurrency = 1) {
  const lease = randomUUID();
  const begun = await unlucky(lease, () => tierStates.begin('t', lease, concurrency, signal));
  if (typeof begun === 'string') throw new Error(`the place was taken, and then answered ${begun}`);
  return {
    lease,
    end: (breakerSignal: Parameters<typeof begun.end>[0]) =>
      unlucky(lease, () => begun.end(breakerSignal)),
  };
}

describe('a reply of the tier state store that is lost', () => {
  test('costs no place: the last one of a tier is had, and given back', async () => {
    const tierStates = createStore();
    const first = await begin(tierStates);
    expect(await tierStates.begin('t', randomUUID(), 1, signal)).toBe('full');
    await first.end({ kind: 'good', ms: 7 });
    tierStates.forget();
    expect((await tierStates.read(['t'])).get('t')).toMatchObject({ running: 0, recentMs: [7] });
    await (await begin(tierStates)).end({ kind: 'neutral' });
  });

  test('counts a failure once', async () => {
    const tierStates = createStore();
    await (await begin(tierStates)).end({ kind: 'count', reason: 'down' });
    tierStates.forget();
    expect((await tierStates.read(['t'])).get('t')).toMatchObject({ openUntilMs: 0 });
    await (await begin(tierStates)).end({ kind: 'count', reason: 'down' });
    const state = (await tierStates.read(['t'])).get('t');
    expect(state).toMatchObject({ reason: 'down' });
    expect(state!.openUntilMs).toBeGreaterThan(Date.now() + 30_000);
  });

  test('leaves the probe of a breaker with the one that got it', async () => {
    const tierStates = createStore({ failures: 1, openMs: 1, maxOpenMs: 1 });
    await (await begin(tierStates)).end({ kind: 'count', reason: 'down' });
    await letTimePass(5);
    const probe = await begin(tierStates);
    expect(await tierStates.begin('t', randomUUID(), 9, signal)).toBe('open');
    await probe.end({ kind: 'good', ms: 1 });
    tierStates.forget();
    expect((await tierStates.read(['t'])).get('t')).toMatchObject({
      openUntilMs: 0,
      probing: false,
    });
  });
});

test('who leads equal jobs, and what is stored for them, does not change', async () => {
  const options = { redis, prefix: names.prefix, limits: LIMITS };
  const cache = new ResultCache({ ...options, outputVersion: () => Promise.resolve('v1') });
  const key = keyOf({ '1': 'k' });
  const flight = await unlucky(names.flight(''), () => cache.claim(key));
  if (flight.kind !== 'leader') throw new Error('it does not know that it leads');
  const job = jobOf({ '1': 'a.png' });
  const facts = { bytes: 10, degraded: false };
  expect(await unlucky('a.png', () => cache.store(key, job, facts))).toBe(true);
  expect(Number(await redis.hget(names.resultCacheSizes, '#bytes'))).toBeLessThan(2_000);
  expect(await cache.find(key)).toEqual(job);
  await unlucky(names.flight(''), () => flight.done());
});
