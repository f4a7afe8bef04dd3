import { describe, expect, test } from '@jest/globals';
import { distinctWebhooks, startWebhookReceiver, until } from '@tiercel/testkit';
import { toLimitsText } from './limits.ts';
import { countTurnsScript } from './lua/count-turns.ts';
import { dispatchScript } from './lua/dispatch.ts';
import { settleDeliveryScript } from './lua/settle-delivery.ts';
import { takeDeliveryScript, type TakenDelivery } from './lua/take-delivery.ts';
import { openWebhooks, stopAfterEach, type WebhookParts } from './webhooks.test-helpers.ts';

/**
 * A process that dies is one that has done its steps up to a point and none after it. Each test takes the steps
 * by hand, then lets a live process go on.
 */

stopAfterEach();

const DEAD = 'the lease of a process that is dead';

/** The steps of a worker process, one call each. */
function stepsOf({ redis, names, config }: WebhookParts) {
  const common = { prefix: names.prefix, limits_json: toLimitsText(config) };
  return {
    holdLease: (leaseMs = 600) =>
      countTurnsScript.run(redis, { ...common, lease: DEAD, lease_ms: leaseMs, most: 16 }),
    dispatch: async (receiver: { url: string; hook: string }, lease = DEAD) => {
      const [entry] = await redis.xrange(names.webhookOutbox, '-', '+', 'COUNT', 1);
      const fields = entry?.[1] ?? [];
      const [id, event] = [entry?.[0] ?? '0-1', fields[5] ?? ''];
      const job = fields[3] ?? '';
      return await dispatchScript.run(redis, {
        ...common,
        ...{ lease, lease_ms: 600, entry: id, tenant: 'default', job, event },
        body: `{"type":"job.${event}","data":{"prompt_id":"${job}"}}`,
        receivers: [`msg_${id.replace('-', '_')}_0`, 'u:x', '', fields[9] ?? receiver.hook],
      });
    },
    take: async (turn: string, claim: string) =>
      (
        await takeDeliveryScript.run(redis, {
          ...common,
          turn,
          claim,
          classes: ['good', 'new', 'bad'],
        })
      )?.delivery,
    settle: (turn: string, claim: string) =>
      settleDeliveryScript.run(redis, {
        ...{ ...common, turn, claim, outcome: 'delivered', health: 'good' },
        ...{ pause_ms: 0, reason: '', attempts: '[]' },
      }),
  };
}

async function prepare() {
  const receiver = await startWebhookReceiver();
  const hooks = await openWebhooks();
  const target = { url: receiver.url, hook: '' };
  await hooks.note('j1', 'queued', target);
  return { receiver, hooks, steps: stepsOf(hooks), target };
}

/** As `prepare`, and the delivery is taken by a turn that BullMQ knows: it comes back when its lock runs out, here at once. */
async function prepareTaken() {
  const parts = await prepare();
  await parts.steps.holdLease();
  await parts.steps.dispatch(parts.target);
  const turn = (await parts.hooks.turns.add('turn', null)).id ?? '';
  const taken = await parts.steps.take(turn, 'c1');
  expect(taken).toMatchObject({ jobId: 'j1' });
  return { ...parts, turn, taken };
}

async function sendByHand(url: string, taken: TakenDelivery | undefined): Promise<void> {
  await fetch(url, {
    method: 'POST',
    body: taken?.body ?? '',
    headers: { 'webhook-id': taken?.id ?? '' },
  });
}

/** What was noted reaches the receiver, and a later event after it. */
async function expectDelivered(
  { receiver, hooks }: Pick<Awaited<ReturnType<typeof prepare>>, 'receiver' | 'hooks'>,
  times: number,
): Promise<void> {
  await hooks.note('j1', 'completed', { url: receiver.url });
  await until(() => receiver.typesOf('j1').at(-1) === 'job.completed', 20_000);
  await hooks.settled();
  expect(distinctWebhooks(receiver.of('j1')).map(({ body }) => body.type)).toEqual([
    'job.queued',
    'job.completed',
  ]);
  expect(receiver.of('j1')).toHaveLength(1 + times);
  expect(await hooks.redis.hgetall(`${hooks.names.prefix}:webhook-busy`)).toEqual({});
}

describe('a process that dies', () => {
  test('holding the lease is followed by another', async () => {
    const parts = await prepare();
    await parts.steps.holdLease();
    parts.hooks.work();
    await expectDelivered(parts, 1);
  });

  test('having made a delivery, before any turn was added, loses nothing', async () => {
    const parts = await prepare();
    await parts.steps.holdLease();
    expect(await parts.steps.dispatch(parts.target)).toEqual([1, 0, 0]);
    parts.hooks.work();
    await expectDelivered(parts, 1);
  });

  test('and whose command is sent again makes no second delivery', async () => {
    const parts = await prepare();
    await parts.steps.holdLease();
    const [entry] = await parts.hooks.redis.xrange(parts.hooks.names.webhookOutbox, '-', '+');
    const call = {
      ...{
        prefix: 'hooks',
        limits_json: toLimitsText(parts.hooks.config),
        lease: DEAD,
        lease_ms: 600,
      },
      ...{ entry: entry?.[0] ?? '', tenant: 'default', job: 'j1', event: 'queued' },
      body: '{"type":"job.queued","data":{"prompt_id":"j1"}}',
      receivers: ['msg_1', 'u:x', '', entry?.[1][9] ?? ''],
    };
    expect(await dispatchScript.run(parts.hooks.redis, call)).toEqual([1, 0, 0]);
    expect(await dispatchScript.run(parts.hooks.redis, call)).toEqual([0, 0, 0]);
    parts.hooks.work();
    await expectDelivered(parts, 1);
  });

  test('having lost the lease makes no delivery', async () => {
    const parts = await prepare();
    await parts.steps.holdLease();
    expect(await parts.steps.dispatch(parts.target, 'a lease that is over')).toBeUndefined();
    expect(await parts.hooks.redis.xlen(parts.hooks.names.webhookOutbox)).toBe(1);
  });

  test('having taken a delivery, before it was sent, leaves it to another with its turn', async () => {
    const parts = await prepareTaken();
    parts.hooks.work();
    await expectDelivered(parts, 1);
  });

  test('having sent it, before that was written down, has it sent again under the same id', async () => {
    const parts = await prepareTaken();
    await sendByHand(parts.target.url, parts.taken);
    parts.hooks.work();
    await expectDelivered(parts, 2);
  });

  test('having written it down, before its turn was over, has it not sent again', async () => {
    const parts = await prepareTaken();
    await sendByHand(parts.target.url, parts.taken);
    expect(await parts.steps.settle(parts.turn, 'c1')).toBe(true);
    parts.hooks.work();
    await expectDelivered(parts, 1);
  });

  test('but was only slow writes down nothing when another has its delivery', async () => {
    const parts = await prepareTaken();
    await sendByHand(parts.target.url, parts.taken);
    expect(await parts.steps.take(parts.turn, 'other')).toMatchObject({ jobId: 'j1' });
    expect(await parts.steps.settle(parts.turn, 'c1')).toBe(false);
    expect(await parts.steps.settle(parts.turn, 'other')).toBe(true);
    expect(await parts.steps.settle(parts.turn, 'other')).toBe(false);
    parts.hooks.work();
    await expectDelivered(parts, 1);
  });

  test('and whose taking is sent again takes one delivery', async () => {
    const parts = await prepare();
    await parts.hooks.note('j2', 'queued', parts.target);
    await parts.steps.holdLease();
    await parts.steps.dispatch(parts.target);
    await parts.steps.dispatch(parts.target);
    const turn = await parts.hooks.turns.add('turn', null);
    const first = await parts.steps.take(turn.id ?? '', 'c1');
    expect(await parts.steps.take(turn.id ?? '', 'c1')).toMatchObject({ id: first?.id });
    parts.hooks.work();
    await expectDelivered(parts, 1);
  });
});

test('a Redis that is killed and comes back loses no delivery that it had acknowledged', async () => {
  const hooks = await openWebhooks({ retryFirstMs: 200 });
  hooks.work();
  const receiver = await startWebhookReceiver(() => 503);
  for (let i = 0; i < 20; i += 1) await hooks.note(`j${i}`, 'queued', { url: receiver.url });
  await until(() => receiver.received.length > 5);
  await until(async () => (await hooks.redis.xlen(hooks.names.webhookOutbox)) === 0);
  await hooks.server.kill9();
  await hooks.server.restart();
  receiver.behave(() => 204);
  await hooks.settled(25_000);
  const accepted = new Set(
    (await hooks.log()).map(({ promptId, state }) => `${promptId} ${state}`),
  );
  expect(accepted.size).toBe(20);
  expect([...accepted].every((one) => one.endsWith('delivered'))).toBe(true);
});
