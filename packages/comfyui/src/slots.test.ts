import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { RedisNames } from '@tiercel/contracts';
import { connectRedis, createLogger, type Redis } from '@tiercel/runtime';
import { startRedisProxy, startTestRedis, stopEverything, type RedisProxy } from '@tiercel/testkit';
import { ServerSlots } from './slots.ts';

let redis: Redis;
let proxy: RedisProxy;
const names = new RedisNames('slots');

beforeAll(async () => {
  proxy = await startRedisProxy((await startTestRedis()).url);
  redis = connectRedis(proxy.url, 'patient', createLogger({ level: 'silent', name: 'test' }));
});
afterAll(async () => {
  redis.disconnect();
  await stopEverything();
});

/** Does something while the reply to its command, which names `text`, is lost: the command is sent again. */
async function unlucky<T>(text: string, act: () => Promise<T>): Promise<T> {
  const lost = proxy.loseReplyTo(text);
  const result = await act();
  await lost;
  return result;
}

test('a slot on a ComfyUI server is had once, on one server', async () => {
  const slots = new ServerSlots(redis, names.prefix);
  const urls = ['http://a', 'http://b', 'http://c'];
  const candidates = urls.map((url) => ({ url, penalty: 0 }));
  const { signal } = new AbortController();
  const taken = await unlucky(names.slots('http://a'), () =>
    slots.acquireSlot(() => ({ candidates }), signal),
  );
  const held = await Promise.all(urls.map((url) => redis.zcard(names.slots(url))));
  expect(held.reduce((sum, count) => sum + count, 0)).toBe(1);
  await unlucky(names.slots(''), () => taken!.slot.release());
  expect(await redis.exists(...urls.map((url) => names.slots(url)))).toBe(0);
});
