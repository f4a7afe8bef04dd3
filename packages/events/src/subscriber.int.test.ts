import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { RedisNames, type EventMessage } from '@tiercel/contracts';
import { connectRedis, createLogger, type ConnectionRole, type Redis } from '@tiercel/runtime';
import {
  letTimePass,
  startTestRedis,
  stopEverything,
  until,
  type TestRedis,
} from '@tiercel/testkit';
import { EventSubscriber } from './index.ts';

const log = createLogger({ level: 'silent', name: 'test' });
const names = new RedisNames('subscriber-test');
const open: { disconnect(): void }[] = [];
let server: TestRedis;

beforeAll(async () => {
  server = await startTestRedis();
});
afterAll(stopEverything);
afterEach(() => {
  for (const one of open.splice(0)) one.disconnect();
});

function connect(role: ConnectionRole): Redis {
  const redis = connectRedis(server.url, role, log);
  open.push(redis);
  return redis;
}

async function openSubscriber() {
  const subscriberConnection = connect('subscriber');
  const redis = connect('patient');
  const processId = 'p1';
  const subscriber = new EventSubscriber({ subscriberConnection, redis, names, processId, log });
  open.unshift({
    disconnect: () => {
      subscriber.stop();
    },
  });
  await subscriber.start();
  const events: string[] = [];
  subscriber.onGap({ onGap: () => events.push('gap'), onWhole: () => events.push('whole') });
  const listener = (name: string) => ({
    onEvents: ({ promptId }: EventMessage) => events.push(`${name} ${promptId}`),
    onPreview: () => undefined,
  });
  const say = (client: string, promptId: string) =>
    redis.publish(names.clientChannel(client), `E ${JSON.stringify(promptId)}`);
  const kill = () => redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
  return { subscriberConnection, redis, subscriber, events, listener, say, kill };
}

describe('a subscription whose connection is lost', () => {
  test('tells of the gap before anything later, and of its end when every channel is heard again', async () => {
    const { subscriber, events, listener, say, kill } = await openSubscriber();
    const clients = Array.from({ length: 1_200 }, (_, n) => `c${n}`);
    await Promise.all(clients.map((client) => subscriber.listenToClient(client, listener(client))));
    await say('c0', 'before');
    await until(() => events.includes('c0 before'));
    await kill();
    await until(() => events.includes('whole'));
    for (const client of clients) await say(client, 'after');
    await until(() => events.includes('c1199 after'));
    expect(events.slice(0, 3)).toEqual(['c0 before', 'gap', 'whole']);
    expect(new Set(events.slice(3))).toEqual(new Set(clients.map((client) => `${client} after`)));
    expect(subscriber.gaps).toBe(1);
  });

  test('again and again, also in the middle of its repair, ends by hearing everything', async () => {
    const { subscriber, events, listener, say, kill } = await openSubscriber();
    const clients = Array.from({ length: 600 }, (_, n) => `c${n}`);
    await Promise.all(clients.map((client) => subscriber.listenToClient(client, listener('x'))));
    for (let n = 0; n < 20; n += 1) {
      await kill();
      await letTimePass(n * 5); // another moment of the repair each time
    }
    await until(() => subscriber.isWhole);
    events.length = 0;
    for (const client of clients) await say(client, client);
    await until(() => events.length >= clients.length);
    expect(events).toEqual(clients.map((client) => `x ${client}`));
  });

  test('takes up what was asked for meanwhile, and leaves out what nobody wants any more', async () => {
    const { redis, subscriber, events, listener, say, kill } = await openSubscriber();
    const stopA = await subscriber.listenToClient('a', listener('a'));
    await kill();
    stopA();
    const listening = subscriber.listenToClient('b', listener('b'));
    await until(() => events.includes('whole'));
    await listening;
    await say('a', '1');
    await say('b', '2');
    await until(() => events.includes('b 2'));
    expect(events).not.toContain('a 1');
    const channels = (await redis.pubsub('CHANNELS')) as string[];
    expect(channels).not.toContain(names.clientChannel('a'));
  });
});

describe('a subscription that is dead although its connection is not', () => {
  test('is found out, because what the process tells itself reaches nobody', async () => {
    const { subscriberConnection, subscriber, events, listener, say } = await openSubscriber();
    await subscriber.listenToClient('a', listener('a'));
    // Behind the subscriber's back; as a Redis that has forgotten it.
    await subscriberConnection.unsubscribe();
    expect(await say('a', 'lost')).toBe(0);
    await until(() => events.includes('whole'), 15_000);
    expect(subscriber.gaps).toBe(1);
    await say('a', 'after');
    await until(() => events.includes('a after'));
    expect(events).toEqual(['gap', 'whole', 'a after']);
  }, 20_000);
});

describe('the place in the list of ends up to which everything was heard', () => {
  test('comes with ends, and from the pulse where there were none for this process', async () => {
    const { redis, subscriber } = await openSubscriber();
    const end = await redis.xadd(names.ends, '*', 'id', 'x', 'client', 'yz');
    await until(() => subscriber.lastEndId === end);
  });
});
