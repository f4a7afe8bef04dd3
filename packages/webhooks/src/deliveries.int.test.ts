import { describe, expect, test } from '@jest/globals';
import { distinctWebhooks, startWebhookReceiver, until } from '@tiercel/testkit';
import { Webhook } from 'standardwebhooks';
import { ALL, openWebhooks, stopAfterEach } from './webhooks.test-helpers.ts';

stopAfterEach();

const LIFE = ['queued', 'started', 'completed'] as const;
const TYPES = LIFE.map((event) => `job.${event}`);

describe('deliveries', () => {
  test('are signed with the secret of the webhook, and with the former one while it is replaced', async () => {
    const receiver = await startWebhookReceiver();
    const hooks = await openWebhooks();
    hooks.work();
    const added = await hooks.store.addEndpoint('default', {
      ...{ url: receiver.url, events: ALL, secretRef: undefined },
    });
    const { id } = added.endpoint;
    const first = added.secret ?? '';
    await hooks.note('j1', 'queued');
    await until(() => receiver.received.length === 1);
    const second = await hooks.store.putSecret('default', id, undefined);
    await hooks.note('j2', 'queued');
    await until(() => receiver.received.length === 2);
    const [before, after] = receiver.received;
    const verify = (secret: string, one: typeof before): unknown =>
      new Webhook(secret).verify(one?.text ?? '', one?.headers as Record<string, string>);
    expect(verify(first, before)).toEqual(before?.body);
    expect(() => verify(second, before)).toThrow();
    expect(verify(first, after)).toEqual(after?.body);
    expect(verify(second, after)).toEqual(after?.body);
    expect(String(after?.headers['webhook-signature']).split(' ')).toHaveLength(2);
  });

  test('of a job stay in their order, one at a time, while its receiver fails at random', async () => {
    const hooks = await openWebhooks({ retryFirstMs: 20, retryMaxMs: 40, perReceiver: 8 });
    for (let i = 0; i < 3; i += 1) hooks.work();
    const underWay = new Map<string, number>();
    let [most, count] = [0, 0];
    const receiver = await startWebhookReceiver(({ body }, res) => {
      const job = body.data.prompt_id;
      underWay.set(job, (underWay.get(job) ?? 0) + 1);
      most = Math.max(most, underWay.get(job) ?? 0);
      count += 1;
      const turn = count;
      setTimeout(() => {
        underWay.set(job, (underWay.get(job) ?? 0) - 1);
        if (turn % 7 === 0) res.destroy();
        else res.writeHead(turn % 5 === 0 ? 500 : 204).end();
      }, 15);
      return undefined;
    });
    const jobs = Array.from({ length: 30 }, (_, i) => `job-${i}`);
    for (const job of jobs) {
      for (const event of LIFE) await hooks.note(job, event, { url: receiver.url });
    }
    await hooks.settled(25_000);
    for (const job of jobs) {
      const accepted = distinctWebhooks(receiver.of(job)).map(({ body }) => body.type);
      expect([job, ...accepted]).toEqual([job, ...TYPES]);
      // Once the next one came, the one before never comes again.
      const order = receiver.of(job).map(({ body }) => TYPES.indexOf(body.type));
      expect([...order].sort()).toEqual(order);
    }
    expect(most).toBe(1);
    expect(await hooks.deadLetters()).toEqual([]);
  });

  test('are no more at once than a tenant and a receiver may have, and for one that fails a single one', async () => {
    const hooks = await openWebhooks({ perTenant: 5, perReceiver: 3, retryFirstMs: 60_000 });
    for (let i = 0; i < 2; i += 1) hooks.work();
    const all = { now: 0, most: 0 };
    const slowly = (status: number) => {
      const own = { now: 0, most: 0 };
      const start = () =>
        startWebhookReceiver((_received, res) => {
          for (const each of [own, all]) {
            each.now += 1;
            each.most = Math.max(each.most, each.now);
          }
          setTimeout(() => {
            for (const each of [own, all]) each.now -= 1;
            res.writeHead(status).end();
          }, 50);
          return undefined;
        });
      return { own, start };
    };
    // As many as may be are under way at once, however slow this machine is: this one answers when they are there.
    const waiting: (() => void)[] = [];
    const patient = await startWebhookReceiver((_received, res) => {
      waiting.push(() => res.writeHead(204).end());
      return undefined;
    });
    for (let i = 0; i < 3; i += 1) await hooks.note(`p-${i}`, 'queued', { url: patient.url });
    await until(() => waiting.length === 3);
    for (const end of waiting) end();

    const kinds = [slowly(204), slowly(204), slowly(204), slowly(500)];
    const receivers = await Promise.all(kinds.map(({ start }) => start()));
    for (let i = 0; i < 25; i += 1) {
      for (const [at, { url }] of receivers.entries())
        await hooks.note(`${at}-${i}`, 'queued', { url });
    }
    await until(() => receivers.every(({ received }) => received.length === 25), 20_000);
    const most = kinds.map(({ own }) => own.most);
    expect(all.most).toBeLessThanOrEqual(5);
    expect(Math.max(...most)).toBeLessThanOrEqual(3);
    expect(most[3]).toBe(1);
  });

  test('have one id for all their tries', async () => {
    const hooks = await openWebhooks();
    hooks.work();
    let fails = 3;
    const receiver = await startWebhookReceiver(() => ((fails -= 1) >= 0 ? 503 : 200));
    await hooks.note('j1', 'completed', { url: receiver.url });
    await hooks.settled();
    expect(receiver.received).toHaveLength(4);
    expect(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
    const [delivery] = await hooks.log();
    expect(delivery).toMatchObject({ state: 'delivered', promptId: 'j1', type: 'job.completed' });
    expect(delivery?.attempts.map(({ status }) => status)).toEqual([503, 503, 503, 200]);
  });

  test.each(['at once', 'after a failure'])(
    'come in time for one tenant while receivers of many others hang, %s',
    async (when) => {
      const hooks = await openWebhooks({ concurrency: 64, timeoutMs: 20_000 });
      hooks.work();
      const hanging = await Promise.all(
        Array.from({ length: 4 }, () => startWebhookReceiver(() => undefined)),
      );
      if (when === 'after a failure') {
        for (const each of hanging)
          each.behave(() => (each.received.length <= 15 ? 500 : undefined));
      }
      // Several receivers of a tenant, several jobs of each.
      for (let i = 0; i < 240; i += 1) {
        const url = hanging[i % 4]?.url ?? '';
        await hooks.note(`slow-${i}`, 'queued', { tenant: `slow-${i % 15}`, url });
      }
      await until(() => hanging.some(({ received }) => received.length > 15 || when === 'at once'));
      const receiver = await startWebhookReceiver();
      const started = Date.now();
      for (let i = 0; i < 40; i += 1) {
        for (const event of LIFE) {
          await hooks.note(`quick-${i}`, event, { tenant: 'quick', url: receiver.url });
        }
      }
      await until(() => receiver.received.length === 120);
      expect(Date.now() - started).toBeLessThan(5_000);
    },
  );

  test('to one receiver that hangs do not hold up the other receivers of the same tenant', async () => {
    const hooks = await openWebhooks({ perTenant: 2, timeoutMs: 3_000 });
    hooks.work();
    const hanging = await startWebhookReceiver(() => undefined);
    const receiver = await startWebhookReceiver();
    for (let i = 0; i < 50; i += 1) await hooks.note(`slow-${i}`, 'queued', { url: hanging.url });
    await until(() => hanging.received.length > 0);
    const started = Date.now();
    for (let i = 0; i < 10; i += 1) await hooks.note(`j${i}`, 'queued', { url: receiver.url });
    await until(() => receiver.received.length === 10);
    expect(Date.now() - started).toBeLessThan(2_500);
    expect(hanging.received.length).toBe(1);
  });

  test('of progress are the newest only, two seconds apart, and give way to an end', async () => {
    const hooks = await openWebhooks({ retryFirstMs: 1_000 });
    hooks.work();
    let isUp = false;
    const receiver = await startWebhookReceiver(() => (isUp ? 204 : 503));
    const url = { url: receiver.url };
    await hooks.note('j1', 'queued', url);
    await until(() => receiver.received.length === 1);
    for (let i = 0; i < 5; i += 1) await hooks.note('j1', 'progress', url);
    await until(async () => (await hooks.redis.xlen(hooks.names.webhookOutbox)) === 0);
    expect((await hooks.deliveries.readBacklog()).waiting).toBe(2);
    isUp = true;
    await until(() => receiver.typesOf('j1').includes('job.progress'));
    await hooks.note('j1', 'progress', url);
    await hooks.settled();
    const progress = receiver.of('j1').filter(({ body }) => body.type === 'job.progress');
    expect(progress).toHaveLength(2);
    const [first, second] = progress.map(({ atMs }) => atMs);
    expect((second ?? 0) - (first ?? 0)).toBeGreaterThan(1_900);
    // One waits for its time when the end comes.
    await hooks.note('j1', 'progress', url);
    const ended = Date.now();
    await hooks.note('j1', 'completed', url);
    await until(() => receiver.typesOf('j1').at(-1) === 'job.completed');
    expect(Date.now() - ended).toBeLessThan(1_500);
    await hooks.settled();
    expect(receiver.typesOf('j1').filter((type) => type === 'job.progress')).toHaveLength(2);
  });

  test('of progress that hang hold up an end for two seconds at most', async () => {
    const hooks = await openWebhooks({ timeoutMs: 20_000 });
    hooks.work();
    const receiver = await startWebhookReceiver(({ body }) =>
      body.type === 'job.progress' ? undefined : 204,
    );
    await hooks.note('j1', 'progress', { url: receiver.url });
    await until(() => receiver.received.length === 1);
    await hooks.note('j1', 'completed', { url: receiver.url });
    const started = Date.now();
    await hooks.settled();
    expect(Date.now() - started).toBeLessThan(4_000);
    expect(receiver.typesOf('j1')).toEqual(['job.progress', 'job.completed']);
  });
});

describe('a delivery that is given up', () => {
  test('is a dead letter when its time is over, what follows it is tried too, and by hand it is delivered', async () => {
    const hooks = await openWebhooks({ retryFirstMs: 50, retryForMs: 600 });
    hooks.work();
    let isUp = false;
    const receiver = await startWebhookReceiver(() => (isUp ? 204 : 500));
    for (const event of LIFE) await hooks.note('j1', event, { url: receiver.url });
    await hooks.settled();
    const dead = await hooks.deadLetters();
    expect(dead.map(({ type }) => type).sort()).toEqual([...TYPES].sort());
    expect(dead[0]).toMatchObject({ state: 'dead', reason: 'status_500', promptId: 'j1' });
    expect((await hooks.deliveries.readBacklog()).dead).toBe(3);
    isUp = true;
    const tried = receiver.received.length;
    expect(await hooks.deliveries.redeliver('default', dead[0]?.id ?? '')).toBe(true);
    await until(() => receiver.received.length === tried + 1);
    await hooks.settled();
    expect(receiver.received.at(-1)?.headers['webhook-id']).toBe(dead[0]?.id);
    expect(await hooks.deadLetters()).toHaveLength(2);
    expect((await hooks.deliveries.find('default', dead[0]?.id ?? ''))?.view.state).toBe(
      'delivered',
    );
  });

  test('because the receiver answers 410 ends the webhook, until it is enabled again', async () => {
    const hooks = await openWebhooks();
    hooks.work();
    const receiver = await startWebhookReceiver(() => 410);
    const { endpoint } = await hooks.store.addEndpoint('default', {
      ...{ url: receiver.url, events: ALL, secretRef: undefined },
    });
    await hooks.note('j1', 'queued');
    await hooks.settled();
    expect(await hooks.deadLetters()).toMatchObject([{ reason: 'gone' }]);
    expect(await hooks.store.findEndpoint('default', endpoint.id)).toMatchObject({
      disabled: 'gone',
    });
    await hooks.note('j2', 'queued');
    await hooks.settled();
    expect(receiver.received).toHaveLength(1);
    receiver.behave(() => 204);
    await hooks.store.setDisabled('default', endpoint.id, undefined);
    await hooks.note('j3', 'queued');
    await until(() => receiver.of('j3').length === 1);
  });

  test('because its address is in a private network was never sent', async () => {
    const hooks = await openWebhooks({ allow: [] });
    hooks.work();
    const receiver = await startWebhookReceiver();
    await hooks.note('j1', 'queued', { url: receiver.url.replace('127.0.0.1', 'localhost') });
    await hooks.settled();
    expect(await hooks.deadLetters()).toMatchObject([{ reason: 'address_refused' }]);
    expect(receiver.received).toEqual([]);
  });

  test('because too many wait is a dead letter at once, and progress is none', async () => {
    const hooks = await openWebhooks({ maxWaiting: 3 });
    const receiver = await startWebhookReceiver(() => 500);
    hooks.work();
    for (let i = 0; i < 6; i += 1) await hooks.note(`j${i}`, 'queued', { url: receiver.url });
    await hooks.note('j9', 'progress', { url: receiver.url });
    await until(async () => (await hooks.redis.xlen(hooks.names.webhookOutbox)) === 0);
    expect((await hooks.deliveries.readBacklog()).waiting).toBe(3);
    const dead = await hooks.deadLetters();
    expect(dead.map(({ promptId, reason }) => [promptId, reason])).toEqual([
      ['j5', 'backlog_full'],
      ['j4', 'backlog_full'],
      ['j3', 'backlog_full'],
    ]);
  });
});

test('what cannot be opened, or read, keeps nobody waiting', async () => {
  const hooks = await openWebhooks();
  const receiver = await startWebhookReceiver();
  const { endpoint } = await hooks.store.addEndpoint('default', {
    ...{ url: receiver.url, events: ALL, secretRef: undefined },
  });
  // As after the loss of the key in the data folder.
  await hooks.redis.hset(hooks.names.webhookEndpoints('default'), 'wh_lost', ' queued \nAAAA');
  await hooks.redis.hset(hooks.names.webhookSecrets('default'), 'lost', 'AAAA');
  const entry = ['tenant', 'default', 'job', 'j0', 'event', 'queued'];
  for (const [frame, hook] of [
    ['{"type":"x","data":{"prompt_id":"j0"}}', 'AAAA'],
    ['x'.repeat(600_000), ''],
  ]) {
    const rest = ['frame', frame ?? '', 'hook', hook ?? '', 'own', '1'];
    await hooks.redis.xadd(hooks.names.webhookOutbox, '*', ...entry, ...rest);
  }
  hooks.work();
  await hooks.note('j1', 'queued');
  await until(() => receiver.of('j1').length === 1);
  await hooks.settled();
  expect((await hooks.store.listEndpoints('default')).map(({ id }) => id)).toEqual([endpoint.id]);
  expect((await hooks.store.listSecrets('default')).map(({ name }) => name)).toEqual([endpoint.id]);
  expect(await hooks.store.deleteEndpoint('default', 'wh_lost')).toBe(true);
});

describe('the log', () => {
  test('keeps the newest of each tenant up to its limits, and those of another tenant', async () => {
    const hooks = await openWebhooks({ logItems: 5 });
    hooks.work();
    const receiver = await startWebhookReceiver();
    await hooks.note('other', 'queued', { tenant: 'b', url: receiver.url });
    for (let i = 0; i < 12; i += 1) await hooks.note(`j${i}`, 'queued', { url: receiver.url });
    await hooks.settled();
    expect((await hooks.log()).length).toBe(5);
    expect((await hooks.log('b')).map(({ promptId }) => promptId)).toEqual(['other']);
    const keys = await hooks.redis.keys(`${hooks.names.prefix}:webhook-delivery:*`);
    expect(keys).toHaveLength(6);
  });

  test('keeps no more bytes than it may, of a tenant and in all', async () => {
    const hooks = await openWebhooks({ logBytes: 5_000, logTotalBytes: 8_000 });
    hooks.work();
    const receiver = await startWebhookReceiver();
    for (const tenant of ['a', 'b', 'c']) {
      for (let i = 0; i < 10; i += 1) {
        await hooks.note(`${tenant}${i}`, 'queued', { tenant, url: receiver.url });
        await hooks.settled();
      }
    }
    expect(receiver.received).toHaveLength(30);
    const sizes = await hooks.redis.hgetall(hooks.names.webhookSizes);
    expect(Number(sizes.bytes)).toBeLessThanOrEqual(8_000);
    for (const tenant of ['a', 'b', 'c']) {
      expect(Number(sizes[`bytes ${tenant}`] ?? 0)).toBeLessThanOrEqual(5_000);
    }
    expect((await hooks.log('c')).length).toBeGreaterThan(2);
  });

  test('shows a tenant nothing of another', async () => {
    const hooks = await openWebhooks();
    hooks.work();
    const receiver = await startWebhookReceiver();
    await hooks.note('j1', 'queued', { tenant: 'a', url: receiver.url });
    await hooks.settled();
    const [delivery] = await hooks.log('a');
    expect(await hooks.deliveries.find('b', delivery?.id ?? '')).toBeUndefined();
    expect(await hooks.deliveries.redeliver('b', delivery?.id ?? '')).toBe(false);
    expect(await hooks.log('b')).toEqual([]);
  });

  test('leaves nothing behind when all is settled and old', async () => {
    const hooks = await openWebhooks({ logForMs: 1 });
    hooks.work();
    const receiver = await startWebhookReceiver(() => 500);
    for (const event of LIFE) await hooks.note('j1', event, { url: receiver.url });
    await until(() => receiver.received.length > 1);
    receiver.behave(() => 204);
    await hooks.settled();
    await hooks.note('j2', 'queued', { url: receiver.url });
    await hooks.settled();
    await until(async () => {
      const keys = await hooks.redis.keys(`${hooks.names.prefix}:webhook-*`);
      const rest = keys.filter(
        (key) =>
          !/webhook-(secrets|outbox|dispatching|count|health|delivery|log|all-settled|settled|sizes)/.test(
            key,
          ),
      );
      return rest.length === 0;
    });
    expect(await hooks.redis.keys(`${hooks.names.prefix}:webhook-delivery:*`)).toHaveLength(1);
  });
});
