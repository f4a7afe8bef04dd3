import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  findDeadUrl,
  startSystem,
  startWorker,
  stopEverything,
  until,
  type TestSystem,
} from '@tiercel/testkit';
import { saveImage, slow } from './prompts.ts';

/** More tenants than there is room for: what a service of two APIs and one worker does less, and that it recovers. */

const ADMIN = 'the-admin-key-of-this-test';
let system: TestSystem;
let workerMetrics: string;

beforeAll(async () => {
  system = await startSystem({
    ...{ apis: 2, workers: 0 },
    configYaml: JSON.stringify({
      auth: { mode: 'required', adminKey: ADMIN },
      overload: {
        previews: { queueAgeMs: 200 },
        progress: { queueAgeMs: 200 },
        status: { queueAgeMs: 200 },
        admission: { queueAgeMs: 400 },
        recoverMs: 300,
      },
    }),
  });
  workerMetrics = await findDeadUrl();
  const env = { NODES_DIR: 'tests/fixtures/nodes', WORKER_CONCURRENCY: '1' };
  const { port } = new URL(workerMetrics);
  await startWorker({ ...system.options, env: { ...env, METRICS_PORT: port } });
  await until(async () => (await ask('GET', '/object_info', ADMIN)).status === 200, 20_000);
});
afterAll(stopEverything);

interface Answer {
  readonly status: number;
  readonly retryAfter: string | null;
  readonly text: string;
}

async function ask(
  method: string,
  path: string,
  key: string,
  body?: object,
  { api = 0, headers = {} }: { api?: number; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const answer = await fetch(`${system.apis[api]?.url ?? ''}${path}`, {
    method,
    headers: { 'x-api-key': key, ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const retryAfter = answer.headers.get('retry-after');
  return { status: answer.status, retryAfter, text: await answer.text() };
}

async function makeKey(tenant: string, plan: string): Promise<string> {
  const made = await ask('POST', '/admin/v1/keys', ADMIN, { tenant, plan });
  return (JSON.parse(made.text) as { key: string }).key;
}

interface Overload {
  readonly level: number;
  readonly steps: { step: string; taken: boolean }[];
  readonly overloaded: { kind: string; level: number }[];
}
const readOverload = async (): Promise<Overload> =>
  JSON.parse((await ask('GET', '/admin/v1/overload', ADMIN)).text) as Overload;

/** A sample without labels but the process's, or with this one. */
async function readSample(url: string, name: string, label = ''): Promise<number> {
  const page = await (await fetch(`${url}/metrics`, { headers: { 'x-api-key': ADMIN } })).text();
  const line = page.split('\n').find((text) => text.startsWith(`${name}{`) && text.includes(label));
  return Number(line?.slice(line.lastIndexOf(' ') + 1) ?? NaN);
}

/** What operators see of who has what in the queue, while the first tenant runs one job of two and the second waits. */
async function expectWholeQueue(): Promise<void> {
  const count = (name: string, label: string) => readSample(system.url, name, label);
  expect(await count('comfy_plan_running', 'plan="pro"')).toBe(1);
  expect(await count('comfy_plan_pending', 'plan="pro"')).toBe(2);
  expect(await count('comfy_plan_pending', 'plan="free"')).toBe(0);
  expect(await count('comfy_keys', 'state="active"')).toBe(3);
  expect(await count('comfy_keys', 'state="revoked"')).toBe(0);
  await until(async () => (await count('comfy_pool_running', 'pool="default"')) === 1);
  const page = await ask('GET', '/metrics', ADMIN);
  expect(page.text).not.toMatch(/"(one|two|free-tenant)"/);
  expect((await ask('GET', '/metrics', 'nobody’s'.slice(0, 6))).status).toBe(401);
  const top = await ask('GET', '/admin/v1/queue/tenants?sort=running', ADMIN);
  expect(JSON.parse(top.text)).toEqual({
    tenants: [
      { tenant: 'one', plan: 'pro', pending: 1, running: 1 },
      { tenant: 'two', plan: 'pro', pending: 1, running: 0 },
    ],
    total: 2,
  });
}

test('while tenants wait too long for their turn it does less, tells so, and recovers', async () => {
  const [one, two, free] = await Promise.all([
    makeKey('one', 'pro'),
    makeKey('two', 'pro'),
    makeKey('free-tenant', 'free'),
  ]);
  const keyed = { headers: { 'idempotency-key': 'before the overload' } };
  const body = { prompt: saveImage() };
  const before = await ask('POST', '/prompt', free, body, keyed);
  expect(before.status).toBe(200);
  // One tenant has the only hand, and more waiting: that is its own affair.
  for (let n = 0; n < 2; n += 1) await ask('POST', '/prompt', one, { prompt: slow(1_000, 0.1) });
  await until(async () => (await ask('GET', '/queue', one)).text.includes('"queue_running":[['));
  expect(await readOverload()).toMatchObject({ level: 0, overloaded: [] });

  await ask('POST', '/prompt', two, { prompt: slow(1, 0.1) });
  const overload = await until(async () => {
    const found = await readOverload();
    return found.level === 4 && found.overloaded.length === 2 ? found : undefined;
  });
  expect(overload.steps).toMatchObject(
    ['previews', 'progress', 'status', 'admission'].map((step) => ({ step, taken: true })),
  );
  expect(overload.overloaded.map(({ kind }) => kind)).toEqual(['api', 'api']);
  for (const api of [0, 1]) {
    const url = system.apis[api]?.url ?? '';
    await until(async () => (await readSample(url, 'comfy_overload_level')) === 4);
    const refused = await ask('POST', '/prompt', free, { prompt: saveImage() }, { api });
    expect([refused.status, refused.retryAfter]).toEqual([429, '1']);
    const { error, node_errors } = JSON.parse(refused.text) as {
      error: { type: string; message: string };
      node_errors: object;
    };
    expect(error.type).toBe('overloaded');
    expect(error.message).toMatch(/overloaded .* plan free .* in 1 s/);
    expect(node_errors).toEqual({});
    expect(await readSample(url, 'comfy_admissions_total', 'outcome="overloaded"')).toBe(1);
    expect(await readSample(url, 'comfy_overload_queue_age_seconds')).toBeGreaterThan(0.4);
  }
  await expectWholeQueue();
  // What was answered before is answered again; plans of more weight go on.
  expect(await ask('POST', '/prompt', free, body, keyed)).toEqual(before);
  expect((await ask('POST', '/prompt', two, { prompt: slow(1, 0.1) })).status).toBe(200);
  // Workers were told.
  await until(async () => (await readSample(workerMetrics, 'comfy_overload_level')) === 4);

  await ask('POST', '/queue', two, { clear: true });
  await until(async () => (await readOverload()).level === 0, 10_000);
  expect(await readOverload()).toMatchObject({ overloaded: [] });
  await until(async () => (await readSample(workerMetrics, 'comfy_overload_level')) === 0);
  const accepted = await ask('POST', '/prompt', free, { prompt: saveImage() });
  expect(accepted.status).toBe(200);
  await ask('POST', '/queue', one, { clear: true });
  await ask('POST', '/interrupt', one);
  const [api] = system.apis;
  const lines = await until(() => {
    const found = api?.logs.filter((line) => line.includes('"overload":')) ?? [];
    return found.at(-1)?.includes('"overload":0') === true ? found : undefined;
  });
  const levels = lines.map((line) => (JSON.parse(line) as { overload: number }).overload);
  // Up at once, or by way of the first three; down one by one.
  expect(levels.slice(-4)).toEqual([3, 2, 1, 0]);
  expect(lines[0]).toContain('this process does less');
});
