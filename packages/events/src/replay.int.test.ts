import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import {
  jobIdOf,
  DEFAULT_TENANT,
  claimId,
  PICTURE_TYPE,
  plainNode,
  RedisNames,
  type WireEvent,
} from '@tiercel/contracts';
import { connectRedis, createLogger, systemClock, type Redis } from '@tiercel/runtime';
import { startTestRedis, stopEverything, type TestRedis } from '@tiercel/testkit';
import { EventPublisher, EventReplay, type EventScope } from './index.ts';

const names = new RedisNames('replay-test');
const begin = (): EventScope => ({
  ...{ tenant: DEFAULT_TENANT, promptId: 'job' },
  ...{ clientId: 'me', claimId: claimId('a') },
});
let scope = begin();
let server: TestRedis;
let redis: Redis;
let replay: EventReplay;

beforeAll(async () => {
  server = await startTestRedis();
  redis = connectRedis(server.url, 'subscriber', createLogger({ level: 'silent', name: 'test' }));
  replay = new EventReplay(redis, names);
});
afterAll(async () => {
  redis.disconnect();
  await stopEverything();
});
beforeEach(async () => {
  await redis.flushall();
  await redis.hset(names.job('job'), { state: 'running', claim: 'a', batch: 0 });
  scope = begin();
});

const LIMITS = {
  ...{ eventsPerJob: 1_000, eventBytesPerJob: 1_000_000 },
  ...{ eventsTtlSeconds: 60, maxEventBytes: 100_000 },
};

function publisher(limits: Partial<typeof LIMITS> = {}): EventPublisher {
  return new EventPublisher(redis, names, { ...LIMITS, ...limits }, systemClock);
}

const progress = (value: number, node = '5'): WireEvent[] => [
  { type: 'progress_state', data: { prompt_id: 'job', nodes: { [node]: { value } } } },
  { type: 'progress', data: { value, max: 1_000, prompt_id: 'job', node } },
];
const executing = (node: string): WireEvent => ({
  type: 'executing',
  data: { node, display_node: node, prompt_id: 'job' },
});

async function readAll(afterId?: string): Promise<{ id: string; type: string; text: string }[]> {
  const lines = [];
  for await (const page of replay.readAfter('job', afterId)) lines.push(...page);
  return lines.map(({ id, frame }) => ({
    id,
    type: (JSON.parse(frame) as { type: string }).type,
    text: frame,
  }));
}

async function memoryOf(...keys: string[]): Promise<number> {
  const sizes = await Promise.all(keys.map((key) => redis.call('MEMORY', 'USAGE', key)));
  return sizes.reduce((sum: number, size) => sum + Number(size ?? 0), 0);
}

describe('what is kept of a job', () => {
  test('is every event, and of progress the newest for the job and for each node', async () => {
    const events = publisher();
    await events.publish(scope, [executing('5'), ...progress(1)]);
    for (let value = 2; value <= 300; value += 1) await events.publish(scope, progress(value));
    await events.publish(scope, [executing('6'), ...progress(1, '6')]);
    const kept = await readAll();
    expect(kept.map(({ type }) => type)).toEqual([
      ...['executing', 'progress', 'executing', 'progress_state', 'progress'],
    ]);
    expect(kept[1]!.text).toContain('"value":300');
    expect(await readAll(kept[1]!.id)).toEqual(kept.slice(2));
    expect(await readAll(kept.at(-1)!.id)).toEqual([]);
  });

  test('takes no more memory for a hundred thousand steps than for a hundred', async () => {
    const events = publisher();
    const keys = [names.jobEvents('job'), names.jobState('job')];
    const run = async (steps: number) => {
      const sent = Array.from({ length: steps / 100 }, (_, n) =>
        events.publish(
          scope,
          Array.from({ length: 100 }, (_unused, at) => progress(n * 100 + at)).flat(),
        ),
      );
      await Promise.all(sent);
      return await memoryOf(...keys);
    };
    const few = await run(100);
    expect(await run(20_000)).toBeLessThan(few + 500);
  });

  test('has a limit in bytes: the oldest events go, the newest never', async () => {
    const events = publisher({ eventBytesPerJob: 200_000 });
    for (let n = 0; n < 100; n += 1) {
      const text = [`${n} ${'x'.repeat(20_000)}`];
      await events.publish(scope, [{ type: 'executed', data: { output: { text } } }]);
    }
    expect(await memoryOf(names.jobEvents('job'))).toBeLessThan(400_000);
    const kept = await readAll();
    expect(kept.length).toBeGreaterThan(5);
    expect(kept.at(-1)!.text).toContain('"99 xxx');
  });

  test('has a limit in slots: a graph of thousands of nodes does not fill it', async () => {
    const events = publisher();
    for (let n = 0; n < 1_000; n += 1) await events.publish(scope, progress(n, `node${n}`));
    expect(await redis.hlen(names.jobState('job'))).toBeLessThan(350);
    expect((await replay.readPresentState('job')).progressState).toContain('"value":999');
  });

  test('of an event over the limit is what fits, marked as cut', async () => {
    const events = publisher({ maxEventBytes: 2_000 });
    const output = { text: ['long '.repeat(100_000)] };
    await events.publish(scope, [{ type: 'executed', data: { node: '1', output } }]);
    const [event] = await readAll();
    expect(event!.text.length).toBeLessThanOrEqual(2_000);
    expect(event!.text).toContain('"tiercel_cut":true');
  });
});

describe('where a job stands', () => {
  test('is known however many batches of one node came since it began', async () => {
    const events = publisher();
    await events.publish(scope, [executing('5')]);
    for (let value = 1; value <= 500; value += 1) await events.publish(scope, progress(value));
    const state = await replay.readPresentState('job');
    expect(state.executing).toContain('"node":"5"');
    expect(state.progressState).toContain('"value":500');
  });

  test('is told to the next run of the job', async () => {
    const events = publisher();
    const node = {
      ...{ value: 7, max: 20, state: 'running', prompt_id: 'job' },
      ...plainNode('5'),
    };
    await events.publish(scope, [
      { type: 'execution_cached', data: { nodes: ['1', '2'], prompt_id: 'job' } },
      { type: 'progress_state', data: { nodes: { '5': node, bad: { value: 'x' } } } },
      executing('5'),
    ]);
    const file = { filename: 'a.png', subfolder: 'sent', type: 'temp' };
    const picture = { prompt_id: 'job', index: 3, node: plainNode('9'), file };
    await events.publish(scope, [{ type: PICTURE_TYPE, data: picture }]);
    const emitted = (await events.readEmitted(jobIdOf(DEFAULT_TENANT, 'job')))!;
    expect([...emitted.nodes]).toEqual([['5', node]]);
    expect(emitted.executing).toBe('5');
    expect(emitted.cached).toEqual(['1', '2']);
    expect([...emitted.pictures]).toEqual([['9', 4]]);
    expect(await events.readEmitted(jobIdOf(DEFAULT_TENANT, 'another'))).toBeUndefined();
  });
});

describe('a run that has lost its job', () => {
  test.each([
    ['another has it', { claim: 'b' }],
    ['it has ended', { state: 'success' }],
  ])('is not heard any more: %s', async (_why, change) => {
    const events = publisher();
    const subscriberConnection = redis.duplicate();
    const received: string[] = [];
    subscriberConnection.on('message', (_channel: string, text: string) => received.push(text));
    await subscriberConnection.subscribe(names.clientChannel('me'));
    expect(await events.publish(scope, [executing('1')])).toBe(true);
    await redis.hset(names.job('job'), change);
    expect(await events.publish(scope, progress(5))).toBe(false);
    const preview = { ...{ promptId: 'job', node: plainNode('1'), forAll: true } };
    const bytes = Buffer.from('jpeg');
    expect(await events.publishPreview(scope, { ...preview, mediaType: 'image/jpeg', bytes })).toBe(
      false,
    );
    subscriberConnection.disconnect();
    expect(received).toHaveLength(1);
    expect(await readAll()).toHaveLength(1);
  });
});

describe('entries that an earlier version wrote', () => {
  test('are read, and what follows is newer', async () => {
    await redis.xadd(names.jobEvents('job'), '1764000000000-3', 'e', '{"type":"old","data":{}}');
    await publisher().publish(scope, [executing('1')]);
    const [old, next] = await readAll();
    expect([old!.type, next!.type]).toEqual(['old', 'executing']);
    expect(await readAll(old!.id)).toEqual([next]);
  });
});
