import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { type OutputRef, RedisNames } from '@tiercel/contracts';
import { connectRedis, createLogger, type Redis } from '@tiercel/runtime';
import {
  letTimePass,
  startTestRedis,
  stopEverything,
  until,
  type TestRedis,
} from '@tiercel/testkit';
import { hashCacheKey } from './cache-key.ts';
import { ResultCache, type ResultCacheOptions } from './result-cache.ts';
import { HOUR_MS, jobOf, keyOf, LIMITS } from './test-cache.ts';

const PREFIX = 'cachetest';
const names = new RedisNames(PREFIX);
const log = createLogger({ level: 'silent', name: 'test' });
let server: TestRedis;
let connections: [Redis, Redis];
const gone = new Set<string>();

beforeAll(async () => {
  server = await startTestRedis();
  connections = [
    connectRedis(server.url, 'patient', log),
    connectRedis(server.url, 'patient', log),
  ];
});

beforeEach(async () => {
  await server.flush();
  gone.clear();
});

afterAll(async () => {
  for (const redis of connections) redis.disconnect();
  await stopEverything();
});

/** The cache as one worker (0 or 1) has it. */
function openCache(worker: 0 | 1 = 0, options: Partial<ResultCacheOptions> = {}): ResultCache {
  return new ResultCache({
    redis: connections[worker],
    prefix: PREFIX,
    limits: LIMITS,
    outputVersion: ({ filename }) => Promise.resolve(gone.has(filename) ? undefined : ''),
    ...options,
  });
}

const full = { bytes: 1000, degraded: false };
const entryOf = (name: string): string => names.resultCache(hashCacheKey(keyOf({ '1': name })));

describe('the result cache', () => {
  test('gives a result that one worker stored to another, with its report', async () => {
    const job = jobOf({ '9': 'a.png' }, { sketch: true, degraded: true });
    expect(await openCache(0).find(keyOf({ '9': 'k' }))).toBeUndefined();
    expect(await openCache(0).store(keyOf({ '9': 'k' }), job, full)).toBe(true);
    expect(await openCache(1).find(keyOf({ '9': 'k' }))).toEqual(job);
  });

  test('answers the same request under other node ids with those ids', async () => {
    const cache = openCache();
    const stored = jobOf({ '9': 'a.png', '12': 'b.png' });
    await cache.store(keyOf({ '9': 'k1', '12': 'k2' }), stored, full);
    const found = await cache.find(keyOf({ y: 'k2', x: 'k1' }));
    expect(found?.outputs).toEqual(jobOf({ x: 'a.png', y: 'b.png' }).outputs);
  });

  test('gives two equal output nodes the same pictures', async () => {
    const cache = openCache();
    await cache.store(keyOf({ '9': 'k' }), jobOf({ '9': 'a.png' }), full);
    const found = await cache.find(keyOf({ a: 'k', b: 'k' }));
    expect(found?.outputs).toEqual(jobOf({ a: 'a.png', b: 'a.png' }).outputs);
  });

  test('keeps an output that shows nothing or text, and 64-bit numbers', async () => {
    const cache = openCache();
    const key = keyOf({ quiet: 'k1', __proto: 'k2' });
    const changed = [{ param: 'seed' as const, asked: '18446744073709551615', used: 7 }];
    const job = { ...jobOf({}, { changed }), outputs: { __proto: { text: [2n ** 64n - 1n] } } };
    await cache.store(key, job, full);
    expect(await cache.find(key)).toEqual(job);
  });

  test('leaves out what a node shows that is no output', async () => {
    const cache = openCache();
    await cache.store(keyOf({ '9': 'k' }), jobOf({ '9': 'a.png', '7': 'inner.png' }), full);
    const found = await cache.find(keyOf({ '9': 'k' }));
    expect(Object.keys(found?.outputs ?? {})).toEqual(['9']);
  });

  test('never answers for another tenant, tier, model, or set of outputs', async () => {
    const cache = openCache();
    await cache.store(keyOf({ '9': 'k' }), jobOf({ '9': 'a.png' }), full);
    const others = [{ scope: 'other' }, { tier: 'turbo' }, { model: 'm2' }];
    for (const over of others) expect(await cache.find(keyOf({ '9': 'k' }, over))).toBeUndefined();
    expect(await cache.find(keyOf({ '9': 'k', '10': 'k2' }))).toBeUndefined();
    expect(await cache.find(keyOf({}))).toBeUndefined();
    // Parts that run into each other are still different parts.
    expect(hashCacheKey(keyOf({}, { scope: 'ab', tier: 'c' }))).not.toBe(
      hashCacheKey(keyOf({}, { scope: 'a', tier: 'bc' })),
    );
  });

  test('drops the results used least recently when it is full, whichever worker used them', async () => {
    const limits = { ...LIMITS, maxBytes: 350_000 };
    const [one, two] = [openCache(0, { limits }), openCache(1, { limits })];
    const facts = { bytes: 100_000, degraded: false };
    for (const name of ['a', 'b', 'c']) {
      await one.store(keyOf({ '1': name }), jobOf({ '1': `${name}.png` }), facts);
    }
    await two.find(keyOf({ '1': 'a' }));
    await two.store(keyOf({ '1': 'd' }), jobOf({ '1': 'd.png' }), facts);
    const left = await Promise.all(
      ['a', 'b', 'c', 'd'].map(
        async (name) => (await one.find(keyOf({ '1': name }))) !== undefined,
      ),
    );
    expect(left).toEqual([true, false, true, true]);
  });

  test('counts what it drops: after any amount of results its bytes are those it holds', async () => {
    const limits = { ...LIMITS, maxBytes: 50_000, degradedMaxAgeMs: 20 };
    const cache = openCache(0, { limits });
    for (let round = 0; round < 60; round += 1) {
      const name = `k${round % 20}`;
      const facts = { bytes: 3_000 + round * 10, degraded: round % 3 === 0 };
      await cache.store(keyOf({ '1': name }), jobOf({ '1': `${name}.png` }), facts);
      if (round % 7 === 0) await letTimePass(25);
    }
    const [redis] = connections;
    const book = Object.entries(await redis.hgetall(names.resultCacheSizes));
    const total = Number(new Map(book).get('#bytes'));
    const sizes = new Map(book.filter(([field]) => !field.startsWith('#')));
    const hashes = await redis.zrange(names.resultCacheIndex, '0', '-1');
    expect([...sizes.keys()].sort()).toEqual([...hashes].sort());
    expect([...sizes.values()].reduce((sum, size) => sum + Number(size), 0)).toBe(total);
    expect(total).toBeLessThanOrEqual(50_000);
    expect((await redis.keys(names.resultCache('*'))).length).toBe(hashes.length);
    expect(await redis.zcard(names.resultCacheExpiry)).toBe(hashes.length);
  });

  test('does not keep a result that is larger than itself, and keeps the others then', async () => {
    const cache = openCache();
    await cache.store(keyOf({ '1': 'a' }), jobOf({ '1': 'a.png' }), full);
    const facts = { bytes: 100_000_001, degraded: false };
    expect(await cache.store(keyOf({ '1': 'b' }), jobOf({ '1': 'b.png' }), facts)).toBe(false);
    expect(await cache.find(keyOf({ '1': 'b' }))).toBeUndefined();
    expect(await cache.find(keyOf({ '1': 'a' }))).toBeDefined();
  });

  test('drops a result that is too old, and a degraded one much sooner', async () => {
    const [redis] = connections;
    const [a, b] = [keyOf({ '1': 'a' }), keyOf({ '1': 'b' })];
    const store = async (limits: Partial<typeof LIMITS>): Promise<void> => {
      const cache = openCache(0, { limits: { ...LIMITS, ...limits } });
      await cache.store(a, jobOf({ '1': 'a.png' }), full);
      await cache.store(b, jobOf({ '1': 'b.png' }), { bytes: 1, degraded: true });
    };
    const find = (key: typeof a) => openCache().find(key);
    await store({});
    expect(await redis.pttl(entryOf('a'))).toBeGreaterThan(60_000);
    const degradedLife = await redis.pttl(entryOf('b'));
    expect(degradedLife).toBeGreaterThan(30_000);
    expect(degradedLife).toBeLessThanOrEqual(60_000);
    await server.flush();
    await store({ degradedMaxAgeMs: 1 });
    await until(async () => (await find(b)) === undefined);
    expect(await find(a)).toBeDefined();
    await server.flush();
    await store({ degradedMaxAgeMs: 1, maxAgeMs: 1 });
    await until(async () => (await find(a)) === undefined && (await find(b)) === undefined);
    expect(await redis.keys(`${PREFIX}:*`)).toEqual([]);
  });

  test('makes room by age first: results that nobody asks for go with the next store', async () => {
    const brief = openCache(0, { limits: { ...LIMITS, maxAgeMs: 1 } });
    await brief.store(keyOf({ '1': 'a' }), jobOf({ '1': 'a.png' }), full);
    await until(async () => (await connections[0].exists(entryOf('a'))) === 0);
    await openCache().store(keyOf({ '1': 'b' }), jobOf({ '1': 'b.png' }), full);
    expect(await connections[0].zcard(names.resultCacheIndex)).toBe(1);
  });

  test('Redis forgets a result by itself when no worker is left to do it', async () => {
    const key = keyOf({ '1': 'a' });
    await openCache().store(key, jobOf({ '1': 'a.png' }), full);
    const life = await connections[0].pttl(names.resultCache(hashCacheKey(key)));
    expect(life).toBeGreaterThan(0);
    expect(life).toBeLessThanOrEqual(HOUR_MS);
  });

  test('a full result replaces a degraded one, but not the other way round', async () => {
    const cache = openCache();
    const key = keyOf({ '1': 'a' });
    const degraded = jobOf({ '1': 'poor.png' }, { degraded: true });
    await cache.store(key, degraded, { bytes: 1, degraded: true });
    await cache.store(key, jobOf({ '1': 'good.png' }), full);
    expect(await cache.store(key, degraded, { bytes: 1, degraded: true })).toBe(false);
    expect(await cache.find(key)).toEqual(jobOf({ '1': 'good.png' }));
  });

  test('a result whose files are gone is a miss, and is dropped', async () => {
    const cache = openCache();
    const key = keyOf({ '1': 'a', '2': 'b' });
    await cache.store(key, jobOf({ '1': 'a.png', '2': 'b.png' }), full);
    gone.add('b.png');
    expect(await openCache(1).find(key)).toBeUndefined();
    gone.clear();
    expect(await cache.find(key)).toBeUndefined();
    expect(await connections[0].keys(`${PREFIX}:*`)).toEqual([]);
  });

  test('a result whose files went before it was stored is not kept', async () => {
    gone.add('a.png');
    expect(await openCache().store(keyOf({ '1': 'a' }), jobOf({ '1': 'a.png' }), full)).toBe(false);
  });

  test('a file that got the name of a deleted one is not taken for it', async () => {
    const versions = new Map([['a.png', 'v1']]);
    const outputVersion = ({ filename }: OutputRef) => Promise.resolve(versions.get(filename));
    const cache = openCache(0, { outputVersion });
    const key = keyOf({ '1': 'a' });
    await cache.store(key, jobOf({ '1': 'a.png' }), full);
    expect(await cache.find(key)).toBeDefined();
    versions.set('a.png', 'v2');
    expect(await cache.find(key)).toBeUndefined();
  });

  test('a file store that refuses a name makes a miss, not an error', async () => {
    const key = keyOf({ '1': 'a' });
    await openCache().store(key, jobOf({ '1': 'a.png' }), full);
    const outputVersion = () => Promise.reject(new Error('path_refused'));
    expect(await openCache(0, { outputVersion }).find(key)).toBeUndefined();
  });
});
