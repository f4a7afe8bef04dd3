import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { RedisNames } from '@tiercel/contracts';
import { connectRedis, createLogger, type Redis } from '@tiercel/runtime';
import { startTestRedis, stopEverything, until } from '@tiercel/testkit';
import { EventSubscriber, publishControl, type ControlMessage } from './index.ts';

const log = createLogger({ level: 'silent', name: 'test' });
const names = new RedisNames('control-test');
const open: Redis[] = [];
let url: string;

function connect(): Redis {
  const redis = connectRedis(url, 'subscriber', log);
  open.push(redis);
  return redis;
}

async function listen(): Promise<ControlMessage[]> {
  const received: ControlMessage[] = [];
  const subscriber = new EventSubscriber({
    ...{ subscriberConnection: connect(), redis: connect(), names, log, processId: 'test' },
  });
  await subscriber.onControl((message) => received.push(message));
  return received;
}

beforeAll(async () => {
  ({ url } = await startTestRedis());
});
afterAll(async () => {
  for (const redis of open) redis.disconnect();
  await stopEverything();
});

describe('an order to the workers', () => {
  test('reaches every one that listens, its body unchanged', async () => {
    const [first, second] = [await listen(), await listen()];
    const body = '{ "unload_models": true, "n": 18446744073709551615 }';
    await publishControl(connect(), names, { type: 'free', body });
    await until(() => first.length > 0 && second.length > 0);
    expect([first, second]).toEqual([[{ type: 'free', body }], [{ type: 'free', body }]]);
  });

  test('is passed over when it cannot be read, and the next one is heard', async () => {
    const received = await listen();
    const redis = connect();
    for (const text of ['', '{', '[]', '{"type":"dance"}', '{"type":"free","body":1}']) {
      await redis.publish(names.controlChannel, text);
    }
    await publishControl(redis, names, { type: 'free', body: '{}' });
    await until(() => received.length > 0);
    expect(received).toEqual([{ type: 'free', body: '{}' }]);
  });

  test('is not heard by an installation with another prefix', async () => {
    const received = await listen();
    const redis = connect();
    await publishControl(redis, new RedisNames('another'), { type: 'free', body: '{"a":1}' });
    await publishControl(redis, names, { type: 'free', body: '{"b":1}' });
    await until(() => received.length > 0);
    expect(received).toEqual([{ type: 'free', body: '{"b":1}' }]);
  });
});
