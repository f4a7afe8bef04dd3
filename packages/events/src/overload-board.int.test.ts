import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { RedisNames } from '@tiercel/contracts';
import { connectRedis, createLogger, type Redis } from '@tiercel/runtime';
import { startTestRedis, stopEverything } from '@tiercel/testkit';
import { OverloadBoard } from './overload-board.ts';

const names = new RedisNames('board');
const state = { level: 2, lagMs: 600, queueAgeMs: 0 };
let redis: Redis;
let board: OverloadBoard;

beforeAll(async () => {
  const { url } = await startTestRedis();
  redis = connectRedis(url, 'patient', createLogger({ level: 'silent', name: 'test' }));
  board = new OverloadBoard(redis, names);
});
afterAll(async () => {
  redis.disconnect();
  await stopEverything();
});

test('processes are there while they are overloaded, and nothing is left after the last', async () => {
  await board.reportWorker('worker-1', state);
  await board.reportApi('api-1', { ...state, level: 4 });
  expect(await board.read()).toEqual([
    { ...state, process: 'api-1', kind: 'api', level: 4 },
    { ...state, process: 'worker-1', kind: 'worker' },
  ]);
  for (const process of ['worker-1', 'api-1']) {
    await board.reportWorker(process, { ...state, level: 0 });
  }
  expect(await redis.keys('board:*')).toEqual([]);
});

test('one that has died while it was overloaded is believed no longer, and is forgotten', async () => {
  const [seconds] = await redis.time();
  const died = `${(Number(seconds) - 7) * 1_000} {"kind":"worker","level":4,"lagMs":1,"queueAgeMs":1}`;
  await redis.hset(names.overload, 'worker-dead', died);
  expect(await board.read()).toEqual([]);
  await board.reportWorker('worker-2', state);
  expect(await redis.hkeys(names.overload)).toEqual(['worker-2']);
  // With the last of them the key goes by itself.
  expect(await redis.pttl(names.overload)).toBeGreaterThan(0);
});
