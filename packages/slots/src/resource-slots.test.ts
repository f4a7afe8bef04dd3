import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { RedisNames } from '@tiercel/contracts';
import { connectRedis, createLogger, type Redis } from '@tiercel/runtime';
import {
  onStopEverything,
  startRedisProxy,
  startTestRedis,
  stopEverything,
  type TestRedis,
  until,
} from '@tiercel/testkit';
import { acquireSlotScript } from './lua/acquire-slot.ts';
import { ResourceSlots, type SlotChoice } from './resource-slots.ts';

const log = createLogger({ level: 'silent', name: 'test' });
let server: TestRedis;
let redis: Redis;
let names: RedisNames;
let rounds = 0;
/** Of the test that runs: each ends with it. */
const waits: Wait[] = [];

beforeAll(async () => {
  server = await startTestRedis();
  redis = connect();
});
beforeEach(() => {
  names = new RedisNames(`slots${(rounds += 1)}`);
});
afterEach(async () => {
  for (const wait of waits.splice(0)) {
    wait.stop();
    await wait.release();
  }
});
afterAll(stopEverything);

/** As another process has it: with connections of its own. */
function connect(url = server.url): Redis {
  const connection = connectRedis(url, 'patient', log);
  onStopEverything(() => {
    connection.disconnect();
  });
  return connection;
}

interface Wait {
  /** Resolves with the resource; undefined when it was stopped. */
  readonly taken: Promise<string | undefined>;
  /** What would do from now on. */
  readonly change: (resources: readonly string[]) => void;
  readonly stop: () => void;
  readonly release: () => Promise<void>;
}

/** A process that wants slots, one of each resource unless `limit` says more. */
function createUser(connection = connect(), limit = 1) {
  const slots = new ResourceSlots(connection, names, limit);
  const want = (...first: readonly string[]): Wait => {
    const stop = new AbortController();
    let choice = choose(first);
    const acquired = slots.acquireSlot(() => choice, stop.signal);
    const wait: Wait = {
      taken: acquired.then((held) => held?.resource.slice(names.slots('').length)),
      change: (resources) => {
        choice = choose(resources);
        slots.chooseAgain();
      },
      stop: () => {
        stop.abort();
      },
      release: async () => {
        await (await acquired)?.slot.release();
      },
    };
    waits.push(wait);
    return wait;
  };
  return {
    want,
    /** Has joined the line when this resolves. */
    wait: async (...resources: readonly string[]): Promise<Wait> => {
      const before = await countWaiting();
      const waiting = want(...resources);
      await until(async () => (await countWaiting()) > before);
      return waiting;
    },
  };
}

function choose(resources: readonly string[]): SlotChoice {
  return { candidates: resources.map((url) => ({ resource: names.slots(url), penalty: 0 })) };
}

const countWaiting = (): Promise<number> => redis.zcard(names.slotWaiters);

/** The lease of somebody who will not ask again: it holds a slot, or waits for one. */
async function askAndDie(resource: string, leaseMs: number, waitMs: number): Promise<void> {
  await acquireSlotScript.run(redis, {
    ...{ prefix: names.prefix, lease: `dead-${Math.random()}`, lease_ms: leaseMs, limit: 1 },
    ...{ said: '', wait_ms: waitMs, resources: [names.slots(resource), 0] },
  });
}

/** In which order these get a slot, each giving it back at once. */
async function drain(line: readonly Wait[]): Promise<number[]> {
  const order: number[] = [];
  await Promise.all(
    line.map(async ({ taken, release }, index) => {
      await taken;
      order.push(index);
      await release();
    }),
  );
  return order;
}

describe('slots are had in order of arrival', () => {
  test('over several connections, one after the other as they are given back', async () => {
    const holder = createUser().want('a');
    await holder.taken;
    const users = [createUser(), createUser(), createUser()];
    const line: Wait[] = [];
    for (let i = 0; i < 12; i += 1) line.push(await users[i % 3]!.wait('a'));
    const order = drain(line);
    await holder.release();
    expect(await order).toEqual(line.map((_, index) => index));
    expect(await countWaiting()).toBe(0);
  });

  test('and nobody comes in between while a slot is on its way to the first', async () => {
    const [user, late] = [createUser(), createUser()];
    const holder = user.want('a');
    await holder.taken;
    const first = await user.wait('a');
    // The slot is free and nobody was woken: the first in line is yet to ask.
    await redis.del(names.slots('a'));
    const second = late.want('a');
    await first.taken;
    await first.release();
    expect(await second.taken).toBe('a');
    await second.release();
  });

  test('at most as many at once as there are', async () => {
    const users = [createUser(connect(), 2), createUser(connect(), 2)];
    let [now, most] = [0, 0];
    await Promise.all(
      Array.from({ length: 12 }, async (_, i) => {
        const wait = users[i % 2]!.want('a');
        await wait.taken;
        now += 1;
        most = Math.max(most, now);
        await redis.ping();
        now -= 1;
        await wait.release();
      }),
    );
    expect(most).toBe(2);
  });
});

describe('who waits for several resources', () => {
  test('has the first that frees, and is in nobody’s way at the others', async () => {
    const user = createUser();
    const holders = [user.want('a'), user.want('b')];
    await Promise.all(holders.map(({ taken }) => taken));
    const both = await user.wait('a', 'b');
    const behind = await createUser().wait('a');
    await holders[1]!.release();
    expect(await both.taken).toBe('b');
    await holders[0]!.release();
    expect(await behind.taken).toBe('a');
  });

  test('blocks nobody when both free at once', async () => {
    const user = createUser();
    const holders = [user.want('a'), user.want('b')];
    await Promise.all(holders.map(({ taken }) => taken));
    const both = await user.wait('a', 'b');
    const other = createUser();
    const [atA, atB] = [await other.wait('a'), await other.wait('b')];
    await Promise.all(holders.map(({ release }) => release()));
    const has = await both.taken;
    expect(await (has === 'a' ? atB : atA).taken).toBe(has === 'a' ? 'b' : 'a');
  });

  test('no longer stands where a slot would be of no use, and keeps its turn elsewhere', async () => {
    const user = createUser();
    const holders = [user.want('a'), user.want('b')];
    await Promise.all(holders.map(({ taken }) => taken));
    const moves = await user.wait('a');
    const behind = await createUser().wait('a');
    const later = await createUser().wait('b');
    moves.change(['b']);
    await until(async () => (await redis.zcard(`${names.slots('b')}:line`)) === 2);
    await holders[0]!.release();
    expect(await behind.taken).toBe('a');
    const order = drain([later, moves]);
    await holders[1]!.release();
    expect(await order).toEqual([1, 0]);
  });
});

describe('nobody is held up', () => {
  test('by a waiter that is stopped: the next has the slot', async () => {
    const user = createUser();
    const holder = user.want('a');
    await holder.taken;
    const first = await user.wait('a');
    const second = await createUser().wait('a');
    first.stop();
    expect(await first.taken).toBeUndefined();
    await holder.release();
    expect(await second.taken).toBe('a');
    expect(await countWaiting()).toBe(0);
  });

  test('by a holder that died: those that wait ask when its lease runs out', async () => {
    await askAndDie('a', 300, 0);
    const begun = performance.now();
    const next = createUser().want('a');
    expect(await next.taken).toBe('a');
    // Sooner than by asking every second.
    expect(performance.now() - begun).toBeLessThan(800);
  });

  test('by waiters that died, however many', async () => {
    const user = createUser();
    const holder = user.want('a');
    await holder.taken;
    for (let i = 0; i < 5; i += 1) await askAndDie('a', 1, 500);
    const next = await user.wait('a');
    await holder.release();
    expect(await next.taken).toBe('a');
  });
});

describe('what is lost between a process and Redis', () => {
  test('a reply: the waiter stands in line once, by its arrival, and has one slot', async () => {
    const proxy = await startRedisProxy(server.url);
    const holder = createUser().want('a');
    await holder.taken;
    const unlucky = createUser(connect(proxy.url));
    const lost = proxy.loseReplyTo(names.slots('a'));
    const first = await unlucky.wait('a');
    await lost;
    const second = await createUser().wait('a');
    expect(await redis.zcard(`${names.slots('a')}:line`)).toBe(2);
    const alsoLost = proxy.loseReplyTo(names.slots('a'));
    const order = drain([second, first]);
    await holder.release();
    expect(await order).toEqual([1, 0]);
    await alsoLost;
    expect(await redis.exists(names.slots('a'))).toBe(0);
  });

  test('the message of a slot that is free: the waiter finds it when it asks next', async () => {
    const user = createUser();
    const holder = user.want('a');
    await holder.taken;
    const next = await createUser().wait('a');
    await redis.del(names.slots('a'));
    expect(await next.taken).toBe('a');
  });

  test('the subscription: it is there again, and waiters are woken at once', async () => {
    const holder = createUser().want('a');
    await holder.taken;
    const next = await createUser().wait('a');
    const listens = async () => (await redis.pubsub('NUMSUB', names.slotChannel))[1] === 1;
    await until(listens);
    await redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await until(listens);
    const begun = performance.now();
    await holder.release();
    await next.taken;
    expect(performance.now() - begun).toBeLessThan(800);
  });

  test.each([
    ['keeps its data', () => Promise.resolve()],
    [
      'has lost all but a lease',
      async () => {
        const runsOut = Date.now() + 3_000;
        await redis.multi().flushall().zadd(names.slots('a'), runsOut, 'dead').exec();
      },
    ],
  ])('Redis, which comes back and %s: those that waited are served in order', async (_, act) => {
    const holder = createUser().want('a');
    await holder.taken;
    const users = [createUser(), createUser()];
    const line: Wait[] = [];
    for (let i = 0; i < 6; i += 1) line.push(await users[i % 2]!.wait('a'));
    const order = drain(line);
    await act();
    await server.restart();
    await until(async () => (await redis.zcard(`${names.slots('a')}:line`)) === 6);
    await holder.release();
    expect(await order).toEqual(line.map((__, index) => index));
    expect(await countWaiting()).toBe(0);
  });
});

describe('what it costs', () => {
  const countScripts = async (): Promise<number> => {
    const stats = await redis.info('commandstats');
    const calls = [...stats.matchAll(/cmdstat_eval(?:sha)?:calls=(\d+)/g)];
    return calls.reduce((sum, [, count]) => sum + Number(count), 0);
  };

  test('a slot that is free: one command to take it and one to give it back', async () => {
    const user = createUser();
    const before = await countScripts();
    const wait = user.want('a');
    await wait.taken;
    await wait.release();
    expect((await countScripts()) - before).toBe(2);
    expect((await redis.pubsub('NUMSUB', names.slotChannel))[1]).toBe(0);
  });

  test('waiting: about a command a second for each that waits', async () => {
    const user = createUser();
    const holder = user.want('a');
    await holder.taken;
    const line: Wait[] = [];
    for (let i = 0; i < 20; i += 1) line.push(await user.wait('a'));
    await until(async () => (await redis.pubsub('NUMSUB', names.slotChannel))[1] === 1);
    const before = await countScripts();
    await new Promise((done) => setTimeout(done, 1_000));
    // 25 ms polls would be 800. Twice each allows for calls that just fall into the second.
    expect((await countScripts()) - before).toBeLessThanOrEqual(40);
    const order = drain(line);
    await holder.release();
    expect(await order).toHaveLength(20);
  });
});
