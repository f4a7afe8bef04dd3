import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import {
  DEFAULT_TENANT,
  claimId,
  parseEventMessage,
  RedisNames,
  type WireEvent,
} from '@tiercel/contracts';
import { connectRedis, createLogger, systemClock, type Redis } from '@tiercel/runtime';
import {
  onStopEverything,
  startRedisProxy,
  startTestRedis,
  stopEverything,
  until,
  type RedisProxy,
  type TestRedis,
} from '@tiercel/testkit';
import { EventPublisher, EventReplay, type EventScope } from './index.ts';

const LIMITS = {
  ...{ eventsPerJob: 1_000, eventBytesPerJob: 1_000_000 },
  ...{ eventsTtlSeconds: 60, maxEventBytes: 100_000 },
};
const log = createLogger({ level: 'silent', name: 'test' });
let server: TestRedis;
let proxy: RedisProxy;
let redis: Redis;
let names: RedisNames;
let received: string[];
let rounds = 0;

function connect(url: string, role: 'patient' | 'subscriber'): Redis {
  const connection = connectRedis(url, role, log);
  onStopEverything(() => {
    connection.disconnect();
  });
  return connection;
}

beforeAll(async () => {
  server = await startTestRedis();
  proxy = await startRedisProxy(server.url);
  redis = connect(server.url, 'patient');
});
beforeEach(async () => {
  names = new RedisNames(`events${(rounds += 1)}`);
  received = [];
  const subscriberConnection = connect(server.url, 'subscriber');
  const messages = received;
  subscriberConnection.on('message', (_channel: string, text: string) => {
    for (const { frame } of parseEventMessage(text).lines) messages.push(readStep(frame));
  });
  await subscriberConnection.subscribe(names.clientChannel('c'));
});
afterAll(stopEverything);

/** A run under a claim, as `take` leaves it on the record. */
async function begin(claim: string): Promise<EventScope> {
  await redis.hset(names.job('x'), { state: 'running', claim, batch: 0 });
  return { tenant: DEFAULT_TENANT, promptId: 'x', clientId: 'c', claimId: claimId(claim) };
}

const publisherOn = (url: string): EventPublisher =>
  new EventPublisher(connect(url, 'patient'), names, LIMITS, systemClock);
const step = (value: number): WireEvent => ({ type: 'executed', data: { value } });
const readStep = (frame: string): string => String(/"value":(\d+)/.exec(frame)?.[1]);
const upTo = (last: number): string[] => Array.from({ length: last }, (_, n) => String(n + 1));

async function readStream(): Promise<string[]> {
  const steps: string[] = [];
  for await (const lines of new EventReplay(redis, names).readAfter('x', undefined)) {
    steps.push(...lines.map(({ frame }) => readStep(frame)));
  }
  return steps;
}

describe('events of a run', () => {
  test('are told once and in order although the connection breaks and sends some again', async () => {
    const scope = await begin('a');
    const publisher = publisherOn(proxy.url);
    await publisher.publish(scope, [step(1)]);
    const lost = proxy.loseReplyTo('"value":3}');
    const published = [2, 3, 4, 5].map((value) => publisher.publish(scope, [step(value)]));
    expect(await Promise.all(published)).toEqual([true, true, true, true]);
    await lost;
    expect(await readStream()).toEqual(upTo(5));
    await until(() => received.length === 5);
    expect(received).toEqual(upTo(5));
  });

  test.each<[string, () => Promise<unknown>]>([
    ['SCRIPT FLUSH', () => redis.call('SCRIPT', 'FLUSH')],
    ['a restart', () => server.restart()],
    ['kill -9', () => server.kill9().then(() => server.restart())],
  ])('keep their order when Redis forgets its scripts by %s', async (_, forget) => {
    const scope = await begin('a');
    const publisher = publisherOn(server.url);
    const published: Promise<boolean>[] = [];
    let last = 0;
    for (let round = 0; round < 3; round += 1) {
      for (let n = 0; n < 20; n += 1) published.push(publisher.publish(scope, [step((last += 1))]));
      // Some are on their way, some come while Redis is away or has forgotten.
      const forgetting = forget();
      for (let n = 0; n < 20; n += 1) {
        published.push(publisher.publish(scope, [step((last += 1))]));
        await new Promise((done) => setImmediate(done));
      }
      await forgetting;
    }
    expect(await Promise.all(published)).toEqual(published.map(() => true));
    expect(await readStream()).toEqual(upTo(last));
  });

  test('of a claim that is void are told to nobody, and leave nothing behind', async () => {
    const former = await begin('a');
    const publisher = publisherOn(server.url);
    expect(await publisher.publish(former, [step(1)])).toBe(true);
    const present = await begin('b');
    expect(await publisher.publish(former, [step(9)])).toBe(false);
    expect(await publisher.publish(present, [step(2)])).toBe(true);
    expect(await readStream()).toEqual(upTo(2));
    await redis.del(names.job('x'), names.jobEvents('x'), names.jobState('x'));
    expect(await publisher.publish(present, [step(9)])).toBe(false);
    expect(await redis.exists(names.jobEvents('x'), names.jobState('x'))).toBe(0);
    expect(received).toEqual(upTo(2));
  });
});
