import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  findDeadUrl,
  startSystem,
  startWorker,
  stopEverything,
  until,
  type RawHttp,
  type TestSystem,
} from '@tiercel/testkit';
import { httpWithKey } from './keys.ts';
import { post, saveImage, slow, waitForRunning, waitForWorker } from './prompts.ts';

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
  await waitForWorker(api(ADMIN));
});
afterAll(stopEverything);

const api = (key: string, of = 0): RawHttp => httpWithKey(system.apis[of]?.url ?? '', key);

async function makeKey(tenant: string, plan: string): Promise<string> {
  const made = await api(ADMIN).post('/admin/v1/keys', { tenant, plan });
  return (made.json() as { key: string }).key;
}

interface Overload {
  readonly level: number;
  readonly steps: { step: string; taken: boolean }[];
  readonly overloaded: { kind: string; level: number }[];
}
const readOverload = async (): Promise<Overload> =>
  (await api(ADMIN).get('/admin/v1/overload')).json() as unknown as Overload;

/** A sample without labels but the process's, or with this one. */
async function readSample(url: string, name: string, label = ''): Promise<number> {
  const page = await httpWithKey(url, ADMIN).get('/metrics');
  const line = page.text
    .split('\n')
    .find((text) => text.startsWith(`${name}{`) && text.includes(label));
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
  const page = await api(ADMIN).get('/metrics');
  expect(page.text).not.toMatch(/"(one|two|free-tenant)"/);
  expect((await api('nobody').get('/metrics')).status).toBe(401);
  const top = await api(ADMIN).get('/admin/v1/queue/tenants?sort=running');
  expect(top.json()).toEqual({
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
  const before = await api(free).post('/prompt', body, keyed);
  expect(before.status).toBe(200);
  // One tenant has the only hand, and more waiting: that is its own affair.
  const [first] = [await post(api(one), slow(1_000, 0.1)), await post(api(one), slow(1_000, 0.1))];
  await waitForRunning(api(one), first);
  expect(await readOverload()).toMatchObject({ level: 0, overloaded: [] });

  await post(api(two), slow(1, 0.1));
  const overload = await until(async () => {
    const found = await readOverload();
    return found.level === 4 && found.overloaded.length === 2 ? found : undefined;
  });
  expect(overload.steps).toMatchObject(
    ['previews', 'progress', 'status', 'admission'].map((step) => ({ step, taken: true })),
  );
  expect(overload.overloaded.map(({ kind }) => kind)).toEqual(['api', 'api']);
  for (const index of [0, 1]) {
    const { url = '' } = system.apis[index] ?? {};
    await until(async () => (await readSample(url, 'comfy_overload_level')) === 4);
    const refused = await api(free, index).post('/prompt', { prompt: saveImage() });
    expect([refused.status, refused.headers['retry-after']]).toEqual([429, '1']);
    expect(refused.json()).toEqual({
      error: {
        type: 'overloaded',
        message: expect.stringMatching(/overloaded .* plan free .* in 1 s/),
        details: '',
        extra_info: { policy: 'overload.admission' },
      },
      node_errors: {},
    });
    expect(await readSample(url, 'comfy_admissions_total', 'outcome="overloaded"')).toBe(1);
    expect(await readSample(url, 'comfy_overload_queue_age_seconds')).toBeGreaterThan(0.4);
  }
  await expectWholeQueue();
  // What was answered before is answered again; plans of more weight go on.
  expect((await api(free).post('/prompt', body, keyed)).text).toBe(before.text);
  await post(api(two), slow(1, 0.1));
  // Workers were told.
  await until(async () => (await readSample(workerMetrics, 'comfy_overload_level')) === 4);

  await api(two).post('/queue', { clear: true });
  await until(async () => (await readOverload()).level === 0, 10_000);
  expect(await readOverload()).toMatchObject({ overloaded: [] });
  await until(async () => (await readSample(workerMetrics, 'comfy_overload_level')) === 0);
  await post(api(free), saveImage());
  await api(one).post('/queue', { clear: true });
  await api(one).post('/interrupt');
  const [watched] = system.apis;
  const lines = await until(() => {
    const found = watched?.logs.filter((line) => line.includes('"overload":')) ?? [];
    return found.at(-1)?.includes('"overload":0') === true ? found : undefined;
  });
  const levels = lines.map((line) => (JSON.parse(line) as { overload: number }).overload);
  // Up at once, or by way of the first three; down one by one.
  expect(levels.slice(-4)).toEqual([3, 2, 1, 0]);
  expect(lines[0]).toContain('this process does less');
});
