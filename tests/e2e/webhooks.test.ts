import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  distinctWebhooks,
  http,
  isAlive,
  startSystem,
  startWebhookReceiver,
  startWorker,
  stopEverything,
  until,
  type RawHttp,
  type SpawnedProcess,
  type TestSystem,
} from '@tiercel/testkit';
import { Webhook } from 'standardwebhooks';
import { startFallbackSystem, textToImage } from './fallback-system.ts';
import { post, saveImage, slow, waitForEnd } from './prompts.ts';

const CONFIG = [
  'webhooks: { allow: ["127.0.0.1"], retryFirstMs: 100 }',
  'queue: { lockMs: 2500, perClient: parallel }',
  'worker: { shutdownGraceMs: 200 }',
].join('\n');

let system: TestSystem;
let api: RawHttp;

beforeAll(async () => {
  system = await startSystem({
    env: { NODES_DIR: 'tests/fixtures/nodes' },
    configYaml: `${CONFIG}\n`,
  });
  api = http(system.url);
});
afterAll(stopEverything);

type Receiver = Awaited<ReturnType<typeof startWebhookReceiver>>;

const withHook = (receiver: Receiver, more: object = {}) => ({
  extra_data: { webhook: { url: `${receiver.url}/hook`, ...more } },
});
const untilType = (receiver: Receiver, id: string, type: string) =>
  until(() => receiver.typesOf(id).includes(type), 20_000);

/** `event` and `data` of each server-sent event. */
async function readEvents(id: string): Promise<{ event: string; data: unknown }[]> {
  const { text } = await api.get(`/api/jobs/${id}/events`);
  return [...text.matchAll(/^event: (.*)\ndata: (.*)$/gm)].map(([, event = '', data = '']) => ({
    event,
    data: JSON.parse(data) as unknown,
  }));
}

describe('a job with a webhook', () => {
  test('is told of in order, with the events that event streams give', async () => {
    const receiver = await startWebhookReceiver();
    const id = await post(api, slow(10, 0.3), withHook(receiver));
    await untilType(receiver, id, 'job.completed');
    const types = receiver.typesOf(id);
    expect(types.filter((type) => type !== 'job.progress')).toEqual([
      'job.queued',
      'job.started',
      'job.completed',
    ]);
    const progress = receiver.of(id).filter(({ body }) => body.type === 'job.progress');
    expect(progress).toHaveLength(2);
    expect((progress[1]?.atMs ?? 0) - (progress[0]?.atMs ?? 0)).toBeGreaterThan(1_900);
    const told = await readEvents(id);
    for (const { body } of receiver.of(id)) {
      if (body.type === 'job.queued' || body.type === 'job.progress') continue;
      expect(told).toContainEqual({ event: body.event, data: body.data });
    }
    expect(progress[0]?.body).toMatchObject({ event: 'progress', data: { max: 10, node: '1' } });
  });

  test('is told of a failure', async () => {
    const receiver = await startWebhookReceiver();
    const id = await post(api, slow(2, 0.01, 1), withHook(receiver, { events: ['job.failed'] }));
    await untilType(receiver, id, 'job.failed');
    expect(receiver.typesOf(id)).toEqual(['job.failed']);
    expect(await readEvents(id)).toContainEqual({
      event: 'execution_error',
      data: receiver.of(id)[0]?.body.data,
    });
  });

  test('is told of an interruption, while it runs and while it waits', async () => {
    const receiver = await startWebhookReceiver();
    const events = ['started', 'interrupted', 'completed'];
    const blocking = await Promise.all(
      Array.from({ length: 4 }, () => post(api, slow(100, 0.2), withHook(receiver, { events }))),
    );
    const [first = ''] = blocking;
    await untilType(receiver, first, 'job.started');
    const waiting = await post(api, slow(1, 0.1), withHook(receiver, { events }));
    await api.post('/queue', { delete: [waiting] });
    await untilType(receiver, waiting, 'job.interrupted');
    expect(receiver.typesOf(waiting)).toEqual(['job.interrupted']);
    for (const id of blocking) await api.post('/interrupt', { prompt_id: id });
    await untilType(receiver, first, 'job.interrupted');
    expect(receiver.typesOf(first)).toEqual(['job.started', 'job.interrupted']);
    expect(receiver.of(first)[1]?.body.event).toBe('execution_interrupted');
  });

  test('shows nothing of the address behind its origin, in no answer and in no key', async () => {
    const receiver = await startWebhookReceiver();
    const url = `${receiver.url.replace('//', '//user:pass-w0rd@')}/T0KEN/path?sig=s1gnature`;
    const id = await post(api, saveImage(), {
      extra_data: { webhook: { url, events: ['completed'] } },
    });
    await untilType(receiver, id, 'job.completed');
    const [received] = receiver.of(id);
    expect(received?.path).toBe('/T0KEN/path?sig=s1gnature');
    expect(received?.headers.authorization).toBe(
      `Basic ${Buffer.from('user:pass-w0rd').toString('base64')}`,
    );
    for (const path of [
      `/history/${id}`,
      `/api/jobs/${id}`,
      '/api/webhooks/deliveries',
      `/api/webhooks/deliveries/${String(received?.headers['webhook-id'])}`,
    ]) {
      const { status, text } = await api.get(path);
      expect([path, status]).toEqual([path, 200]);
      expect(text).not.toMatch(/pass-w0rd|T0KEN|s1gnature/);
    }
    const item = (await api.get(`/history/${id}`)).json() as Record<string, { prompt: unknown[] }>;
    expect(item[id]?.prompt[3]).toMatchObject({
      webhook: { url: receiver.url, events: ['completed'] },
    });
  });

  test.each([
    ['no object', 'https://example.com'],
    ['no url', {}],
    ['an empty url', { url: '' }],
    ['another scheme', { url: 'ftp://example.com/x' }],
    ['a local file', { url: 'file:///etc/passwd' }],
    ['no host', { url: 'https://' }],
    ['port 0', { url: 'http://example.com:0/' }],
    ['a url of 3,000 characters', { url: `https://example.com/${'x'.repeat(3_000)}` }],
    ['an event that is none', { url: 'https://example.com', events: ['finished'] }],
    ['events that are no list', { url: 'https://example.com', events: 'completed' }],
    ['no events', { url: 'https://example.com', events: [] }],
    ['a member that is none', { url: 'https://example.com', secret: 'whsec_abc' }],
    ['the name of no secret', { url: 'https://example.com', secret_ref: 'nowhere' }],
    ['a secret instead of its name', { url: 'https://example.com', secret_ref: 'whsec_a/b+c=' }],
    ['a private address', { url: 'http://10.0.0.1/' }],
    ['a private address in hex', { url: 'http://0x0a000001/' }],
    ['a mapped address', { url: 'http://[::ffff:192.168.0.1]/' }],
    ['the metadata service', { url: 'http://169.254.169.254/latest' }],
  ])('is refused with %s, and says what to change', async (_what, webhook) => {
    const answer = await api.post('/prompt', { prompt: saveImage(), extra_data: { webhook } });
    expect(answer.status).toBe(400);
    const { error, node_errors } = answer.json() as {
      error: { type: string; message: string; details: string; extra_info: object };
      node_errors: object;
    };
    expect(error).toMatchObject({ type: 'webhook_invalid', details: '', extra_info: {} });
    expect(error.message).toMatch(/^(extra_data\.webhook|secret_ref)/);
    expect(node_errors).toEqual({});
  });

  test('may say that it has none', async () => {
    await waitForEnd(api, await post(api, saveImage(), { extra_data: { webhook: null } }));
  });
});

test('a result that lacks something is told as degraded, ahead of its end', async () => {
  const receiver = await startWebhookReceiver();
  const { api: own } = await startFallbackSystem({
    config: 'webhooks: { allow: ["127.0.0.1"] }\nfallback: { mayOmit: [embedding] }\n',
  });
  const id = await post(own, textToImage({ text: 'a fox, embedding:style' }), withHook(receiver));
  await untilType(receiver, id, 'job.completed');
  expect(receiver.typesOf(id).filter((type) => type !== 'job.progress')).toEqual([
    'job.queued',
    'job.started',
    'job.degraded',
    'job.completed',
  ]);
  const degraded = receiver.of(id).find(({ body }) => body.type === 'job.degraded');
  expect(degraded?.body).toMatchObject({
    event: 'tiercel_report',
    data: { prompt_id: id, degraded: true, served_by: { tier: 'primary' } },
  });
});

describe('/api/webhooks', () => {
  test('adds, shows, pauses and deletes a webhook that is told of every job', async () => {
    const receiver = await startWebhookReceiver();
    const added = await api.post('/api/webhooks', {
      url: `${receiver.url}/all?key=hidden`,
      events: ['completed'],
    });
    expect(added.status).toBe(201);
    const { id, secret } = added.json() as { id: string; secret: string };
    expect(secret).toMatch(/^whsec_/);
    const first = await post(api, saveImage());
    await untilType(receiver, first, 'job.completed');
    const [received] = receiver.of(first);
    expect(
      new Webhook(secret).verify(received?.text ?? '', received?.headers as Record<string, string>),
    ).toEqual(received?.body);
    const listed = await api.get('/api/webhooks');
    expect(listed.text).not.toMatch(/hidden|whsec_/);
    expect(listed.json()).toMatchObject({
      webhooks: [{ id, url: receiver.url, events: ['completed'], disabled: null }],
    });
    expect((await api.post(`/api/webhooks/${id}/disable`)).status).toBe(204);
    await waitForEnd(api, await post(api, saveImage()));
    expect((await api.post(`/api/webhooks/${id}/enable`)).status).toBe(204);
    const third = await post(api, saveImage());
    await untilType(receiver, third, 'job.completed');
    expect(receiver.received).toHaveLength(2);
    expect((await api.request('DELETE', `/api/webhooks/${id}`)).status).toBe(204);
    expect((await api.request('DELETE', `/api/webhooks/${id}`)).status).toBe(404);
    expect((await api.get('/api/webhooks')).json()).toEqual({ webhooks: [] });
    expect((await api.get('/api/webhooks/secrets')).text).not.toContain(id);
  });

  test('has secrets that jobs name, and that are replaced', async () => {
    const receiver = await startWebhookReceiver();
    const made = async (body: object) =>
      ((await api.post('/api/webhooks/secrets', body)).json() as { secret: string }).secret;
    const first = await made({ name: 'shop' });
    const second = await made({ name: 'shop' });
    const id = await post(
      api,
      saveImage(),
      withHook(receiver, { secret_ref: 'shop', events: ['completed'] }),
    );
    await untilType(receiver, id, 'job.completed');
    const [received] = receiver.of(id);
    for (const secret of [first, second]) {
      new Webhook(secret).verify(received?.text ?? '', received?.headers as Record<string, string>);
    }
    const given = `whsec_${Buffer.alloc(32, 9).toString('base64')}`;
    expect(await made({ name: 'own', secret: given })).toBe(given);
    const listed = await api.get('/api/webhooks/secrets');
    expect(listed.text).not.toContain('whsec_');
    expect(
      (listed.json() as { secrets: { name: string }[] }).secrets.map(({ name }) => name),
    ).toEqual(expect.arrayContaining(['own', 'shop']));
    expect((await api.request('DELETE', '/api/webhooks/secrets/own')).status).toBe(204);
    for (const body of [{}, { name: 'a b' }, { name: 'x', secret: 'short' }, [], { name: 7 }]) {
      expect((await api.post('/api/webhooks/secrets', body)).status).toBe(400);
    }
  });

  test('shows deliveries page by page, and delivers again by hand', async () => {
    const receiver = await startWebhookReceiver();
    const id = await post(api, saveImage(), withHook(receiver));
    await untilType(receiver, id, 'job.completed');
    interface Page {
      readonly deliveries: { id: string; prompt_id: string; state: string }[];
      readonly next: string | null;
    }
    const read = async (path: string) => (await api.get(path)).json() as unknown as Page;
    await until(async () => {
      const { deliveries } = await read('/api/webhooks/deliveries');
      return deliveries[0]?.prompt_id === id && deliveries[0].state === 'delivered';
    });
    const first = await read('/api/webhooks/deliveries?limit=2');
    const second = await read(`/api/webhooks/deliveries?limit=2&before=${first.next ?? ''}`);
    const both = await read('/api/webhooks/deliveries?limit=4');
    expect([...first.deliveries, ...second.deliveries]).toEqual(both.deliveries);
    const [newest] = first.deliveries;
    const again = await api.post(`/api/webhooks/deliveries/${newest?.id ?? ''}/redeliver`);
    expect(again.status).toBe(202);
    await until(
      () => receiver.of(id).filter(({ body }) => body.type === 'job.completed').length === 2,
    );
    expect(distinctWebhooks(receiver.of(id))).toHaveLength(3);
    expect((await api.post('/api/webhooks/deliveries/msg_none/redeliver')).status).toBe(404);
    expect((await api.get('/api/webhooks/deliveries/msg_none')).status).toBe(404);
    const metrics = (await api.get('/metrics')).text;
    expect(metrics).toMatch(/comfy_webhook_deliveries_waiting\{process="api"\} \d/);
    expect(metrics).toMatch(/comfy_webhook_dead_letters\{process="api"\} \d/);
  });
});

test('workers that are killed while they deliver lose no event and no order', async () => {
  let isUp = true;
  const receiver = await startWebhookReceiver((_received, res) => {
    if (isUp && Math.random() < 0.7) return 204;
    setTimeout(() => res.destroy(), 300);
    return undefined;
  });
  const own = await startSystem({ configYaml: `${CONFIG}\n`, workers: 2 });
  const client = http(own.url);
  const jobs: string[] = [];
  let workers: SpawnedProcess[] = [...own.workers];
  for (let round = 0; round < 3; round += 1) {
    for (let i = 0; i < 8; i += 1) jobs.push(await post(client, saveImage(), withHook(receiver)));
    const before = receiver.received.length;
    await until(() => receiver.received.length > before + 3, 20_000);
    const [victim] = workers;
    await victim?.kill9();
    expect(isAlive(victim?.pid ?? 0)).toBe(false);
    workers = [...workers.slice(1), await startWorker(own.options)];
  }
  isUp = true;
  receiver.behave(() => 204);
  for (const id of jobs) await untilType(receiver, id, 'job.completed');
  for (const id of jobs) {
    const types = distinctWebhooks(receiver.of(id)).map(({ body }) => body.type);
    // A job whose worker died starts again.
    const once = types.filter((type, i) => type !== 'job.progress' && types.indexOf(type) === i);
    expect([id, ...once]).toEqual([id, 'job.queued', 'job.started', 'job.completed']);
    expect(types.filter((type) => type === 'job.completed')).toHaveLength(1);
    expect(types.at(-1)).toBe('job.completed');
  }
});
