import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { RedisNames } from '@tiercel/contracts';
import { connectRedis, createLogger, type Redis } from '@tiercel/runtime';
import { startTestRedis, stopEverything, type TestRedis } from '@tiercel/testkit';
import { hashCacheKey } from './cache-key.ts';
import { ResultCache } from './result-cache.ts';
import { jobOf, keyOf, LIMITS } from './test-cache.ts';

const PREFIX = 'damagetest';
const names = new RedisNames(PREFIX);
const full = { bytes: 1000, degraded: false };
let server: TestRedis;
let redis: Redis;

beforeAll(async () => {
  server = await startTestRedis();
  redis = connectRedis(server.url, 'patient', createLogger({ level: 'silent', name: 'test' }));
});

beforeEach(async () => {
  await server.flush();
});

afterAll(async () => {
  redis.disconnect();
  await stopEverything();
});

function openCache(limits = LIMITS): ResultCache {
  return new ResultCache({
    ...{ redis, prefix: PREFIX, limits },
    outputVersion: () => Promise.resolve(''),
  });
}

describe('a damaged entry', () => {
  test.each([
    ['not JSON', '{"shown":'],
    ['another shape', '[]'],
    ['an empty object', '{}'],
    ['no report', '{"shown":[],"stamps":[]}'],
    [
      'shown things that are none',
      '{"shown":[["k",1]],"stamps":[],"report":{"served_by":{"tier":"t","driver":"d","model":null},"degraded":false,"dropped_params":[],"changed":[],"omitted":[]}}',
    ],
    [
      'a change without values',
      '{"shown":[],"stamps":[],"report":{"served_by":{"tier":"t","driver":"d","model":null},"degraded":false,"dropped_params":[],"changed":[{"param":"seed"}],"omitted":[]}}',
    ],
    ['too deep', `${'['.repeat(600)}${']'.repeat(600)}`],
  ])('(%s) is a miss, and the next store repairs it', async (_title, text) => {
    const cache = openCache();
    const key = keyOf({ '1': 'k' });
    const job = jobOf({ '1': 'a.png' });
    await cache.store(key, job, full);
    await redis.set(names.resultCache(hashCacheKey(key)), text);
    expect(await cache.find(key)).toBeUndefined();
    expect(await redis.keys(`${PREFIX}:*`)).toEqual([]);
    await cache.store(key, job, full);
    expect(await cache.find(key)).toEqual(job);
  });

  test('of another Redis type is a miss', async () => {
    const cache = openCache();
    const key = keyOf({ '1': 'k' });
    await redis.lpush(names.resultCache(hashCacheKey(key)), 'x');
    expect(await cache.find(key)).toBeUndefined();
    await cache.store(key, jobOf({ '1': 'a.png' }), full);
    expect(await cache.find(key)).toBeDefined();
  });

  test.each([
    ['use', names.resultCacheIndex],
    ['expiry', names.resultCacheExpiry],
    ['sizes', names.resultCacheSizes],
  ])('a lost index (%s) costs results, never the cache', async (_title, lost) => {
    const cache = openCache({ ...LIMITS, maxBytes: 250_000 });
    const facts = { bytes: 100_000, degraded: false };
    for (const name of ['a', 'b']) {
      await cache.store(keyOf({ '1': name }), jobOf({ '1': `${name}.png` }), facts);
    }
    await redis.del(lost);
    for (const name of ['c', 'd', 'e', 'f', 'g']) {
      await cache.find(keyOf({ '1': 'a' }));
      await cache.store(keyOf({ '1': name }), jobOf({ '1': `${name}.png` }), facts);
    }
    expect(await cache.find(keyOf({ '1': 'g' }))).toBeDefined();
  });
});
