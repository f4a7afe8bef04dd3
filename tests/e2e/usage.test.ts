import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  startFakeCloudflare,
  startFakeComfyUi,
  startFakeOpenAi,
  startSystem,
  startWorker,
  stopEverything,
  until,
  type FakeService,
  type SpawnedProcess,
  type TestSystem,
} from '@tiercel/testkit';
import { countCalls, reportOf, textToImage, type Report } from './fallback-system.ts';
import { saveImage, slow } from './prompts.ts';

/** What tenants use is counted once, and nobody spends more than he may, whatever dies. */

const ADMIN = 'the-admin-key-of-this-test';
const PRICE = 0.04;

let system: TestSystem;
let paid: FakeService;
let free: FakeService;
let workers: readonly SpawnedProcess[];

interface Amounts {
  readonly jobs: { success: number; error: number; interrupted: number };
  readonly run_seconds: number;
  readonly images: number;
  readonly megapixels: number;
  readonly cost: number;
}
interface Usage {
  readonly from: string;
  readonly to: string;
  readonly kept_days: number;
  readonly total: Amounts;
  readonly usage: (Amounts & { tier: string | null; day: string; tenant?: string })[];
  readonly budget: Record<'day' | 'month', { limit: number; spent: number; left: number } | null>;
}

const SERVED = ['paid', 'free', 'spare'];
const PLANS = {
  open: { tiers: SERVED },
  thrifty: { tiers: SERVED, budget: { day: 0.1 } },
  monthly: { tiers: SERVED, budget: { month: 0.08 } },
  only: { tiers: ['paid'], budget: { day: 0.1 } },
  graphs: { tiers: ['server'], budget: { day: 0.5 } },
  nothing: { tiers: ['paid', 'free'], budget: { day: 0 } },
  metered: { tiers: ['metered', 'spare'], budget: { day: 2 } },
};

beforeAll(async () => {
  paid = await startFakeOpenAi();
  free = await startFakeCloudflare();
  const server = await startFakeComfyUi();
  const service = { apiKey: 'key-1', checkpoints: [] };
  system = await startSystem({
    ...{ apis: 2, workers: 2 },
    env: { NODES_DIR: 'tests/fixtures/nodes', WORKER_CONCURRENCY: '4' },
    configYaml: JSON.stringify({
      auth: { mode: 'required', adminKey: ADMIN },
      queue: { lockMs: 3_000, perClient: 'parallel' },
      fallback: { patienceMs: 3_000 },
      cache: { enabled: false },
      plans: PLANS,
      tiers: [
        {
          ...{ name: 'paid', driver: 'openai', url: `${paid.url}/v1`, model: 'gpt-image-2' },
          ...{ ...service, price: { perImage: PRICE } },
        },
        {
          ...{ name: 'free', driver: 'cloudflare', url: `${free.url}/client/v4`, accountId: 'acc' },
          ...{ ...service, model: '@cf/lykon/dreamshaper-8-lcm' },
        },
        { name: 'metered', driver: 'embedded', price: { perSecond: 1 } },
        { name: 'spare', driver: 'embedded' },
        { name: 'server', driver: 'comfyui', urls: [server.url], price: { perMegapixel: 100 } },
      ],
    }),
  });
  workers = system.workers;
  await until(async () => (await ask('GET', '/object_info', ADMIN)).status === 200, 20_000);
});
afterAll(stopEverything);

/** All workers die at once, and one that knows nothing comes up. */
async function replaceWorkers(): Promise<void> {
  for (const { pid } of workers) process.kill(pid, 'SIGKILL');
  workers = [await startWorker(system.options)];
}

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  json(): unknown;
}

async function ask(
  method: string,
  path: string,
  key: string,
  body?: object,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const answer = await fetch(`${system.url}${path}`, {
    method,
    headers: { 'x-api-key': key, ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return {
    ...{ status: answer.status, headers: answer.headers, text },
    json: () => JSON.parse(text) as unknown,
  };
}

let tenants = 0;
async function makeKey(plan: string, tenant = `${plan}-${(tenants += 1)}`): Promise<string> {
  const made = await ask('POST', '/admin/v1/keys', ADMIN, { tenant, plan });
  expect(made.status).toBe(201);
  return (made.json() as { key: string }).key;
}

async function post(key: string, prompt: object, more: object = {}): Promise<string> {
  const answer = await ask('POST', '/prompt', key, { prompt, ...more });
  expect([answer.status, answer.text]).toEqual([200, expect.any(String)]);
  return (answer.json() as { prompt_id: string }).prompt_id;
}

async function waitForReport(key: string, id: string): Promise<Report> {
  return await until(async () => {
    const item = ((await ask('GET', `/history/${id}`, key)).json() as Record<string, object>)[id];
    return item === undefined ? undefined : reportOf(item);
  }, 30_000);
}

const readUsage = async (key: string, query = ''): Promise<Usage> =>
  (await ask('GET', `/api/usage${query}`, key)).json() as Usage;

async function waitForError(key: string, id: string): Promise<string> {
  return await until(async () => {
    const { status, execution_error: error } = (
      await ask('GET', `/api/jobs/${id}`, key)
    ).json() as {
      status?: string;
      execution_error?: { exception_type: string };
    };
    return status === 'failed' ? error?.exception_type : undefined;
  }, 30_000);
}

describe('usage', () => {
  test('tells jobs by outcome, seconds, pictures and cost of each tier, to the tenant and to administrators', async () => {
    const name = 'acme, "the" =firm';
    const key = await makeKey('open', name);
    const other = await makeKey('open', '=evil');
    await waitForReport(key, await post(key, textToImage({ batch: 2 })));
    await waitForReport(key, await post(key, saveImage()));
    await waitForError(key, await post(key, slow(3, 0.05, 1)));
    const id = await post(key, slow(600, 0.1));
    await until(
      async () =>
        ((await ask('GET', `/api/jobs/${id}`, key)).json() as { status: string }).status ===
        'in_progress',
    );
    await ask('POST', '/interrupt', key, { prompt_id: id });
    await waitForReport(key, id);
    await waitForReport(other, await post(other, saveImage()));

    const usage = await readUsage(key);
    const [first, spare] = usage.usage;
    expect(usage.usage).toHaveLength(2);
    expect(spare).toMatchObject({
      ...{ tier: 'spare', jobs: { success: 1, error: 1, interrupted: 1 } },
      ...{ images: 1, megapixels: (64 * 48) / 1e6, cost: 0 },
    });
    expect(first).toMatchObject({
      ...{ tier: 'paid', jobs: { success: 1, error: 0, interrupted: 0 } },
      ...{ images: 2, megapixels: (2 * 256 * 256) / 1e6, cost: 2 * PRICE },
    });
    expect(first!.run_seconds).toBeGreaterThan(0);
    expect(usage.total).toMatchObject({ jobs: { success: 2 }, images: 3, cost: 0.08 });
    expect(usage).toMatchObject({ kept_days: 100, budget: { day: null, month: null } });
    expect(usage.from).toBe(`${usage.to.slice(0, 7)}-01`);
    expect((await readUsage(other)).total).toMatchObject({ jobs: { success: 1 }, cost: 0 });

    const page = await ask('GET', '/admin/v1/usage?limit=1&top=1', ADMIN);
    const all = page.json() as Usage & { top: { tenant: string }[]; tiers: object[]; next: string };
    expect(all.total).toMatchObject({ jobs: { success: 3, error: 1, interrupted: 1 }, cost: 0.08 });
    expect(all.top).toEqual([{ tenant: name, run_seconds: expect.any(Number), cost: 0.08 }]);
    expect(all.tiers).toHaveLength(2);
    expect(new Set(all.usage.map(({ tenant }) => tenant))).toEqual(new Set(['=evil']));
    const rest = (
      await ask('GET', `/admin/v1/usage?after=${encodeURIComponent(all.next)}`, ADMIN)
    ).json() as Usage & { next: null };
    expect(rest.usage.map(({ tenant }) => tenant)).toEqual([name, name]);
    expect(rest.next).toBeNull();
    const one = await ask('GET', `/admin/v1/usage?tenant=${encodeURIComponent(name)}`, ADMIN);
    expect((one.json() as Usage).total).toEqual(usage.total);

    for (const csv of [
      await ask('GET', '/admin/v1/usage?format=csv', ADMIN),
      await ask('GET', '/admin/v1/usage', ADMIN, undefined, { accept: 'text/csv' }),
    ]) {
      expect(csv.headers.get('content-type')).toMatch(/^text\/csv/);
      const lines = csv.text.trimEnd().split('\r\n');
      expect(lines[0]).toBe(
        'tenant,day,tier,success,error,interrupted,run_seconds,images,megapixels,cost',
      );
      expect(lines[1]).toMatch(/^'=evil,\d{4}-\d\d-\d\d,spare,1,0,0,/);
      expect(lines[2]).toMatch(/^"acme, ""the"" =firm",[\d-]+,paid,1,0,0,[\d.]+,2,0.131072,0.08$/);
      expect(lines).toHaveLength(4);
    }
    expect((await ask('GET', '/admin/v1/usage', key)).status).toBe(403);
  });

  test('counts of a ComfyUI server the pictures that its output nodes show', async () => {
    const key = await makeKey('graphs');
    await until(async () => {
      const info = (await ask('GET', '/object_info', key)).json() as object;
      return 'CheckpointLoaderSimple' in info && info;
    });
    await waitForReport(key, await post(key, saveImage()));
    const { usage } = await readUsage(key);
    expect(usage).toMatchObject([{ tier: 'server', images: 1, cost: 0.3072 }]);
    const refused = await ask('POST', '/prompt', key, { prompt: saveImage() });
    expect([refused.status, refused.text]).toEqual([
      429,
      expect.stringContaining('0.3072 are spent'),
    ]);
  });

  test.each([
    ['?from=2026-13-01', /from: must be a day/],
    ['?from=2026-11-02&to=2026-11-01', /must not be after/],
    ['?from=2020-01-01&to=2026-11-01', /at most 366 days/],
  ])('refuses %s in words', async (query, words) => {
    const key = await makeKey('open');
    for (const [path, who] of [
      ['/api/usage', key],
      ['/admin/v1/usage', ADMIN],
    ] as const) {
      const answer = await ask('GET', `${path}${query}`, who);
      expect([answer.status, answer.text]).toEqual([400, expect.stringMatching(words)]);
    }
  });
});

describe('a budget', () => {
  test.each([
    ['thrifty', 'day'],
    ['monthly', 'month'],
  ])(
    'of the plan %s is not passed by jobs that run at once: others serve, and say why',
    async (plan, period) => {
      const key = await makeKey(plan);
      const before = countCalls(paid);
      paid.setLatency(500);
      const ids = await Promise.all(Array.from({ length: 6 }, () => post(key, textToImage())));
      const reports = await Promise.all(ids.map((id) => waitForReport(key, id)));
      const tiers = reports.map(({ served_by }) => served_by?.tier).sort();
      expect(tiers).toEqual(['free', 'free', 'free', 'free', 'paid', 'paid']);
      expect(countCalls(paid) - before).toBe(2);
      paid.setLatency(0);
      for (const report of reports.filter(({ served_by }) => served_by?.tier === 'free')) {
        expect(report.degraded).toBe(true);
        expect(report.skipped).toContainEqual({
          tier: 'paid',
          reason: expect.stringMatching(
            new RegExp(`costs about 0.04, .*budget of 0.\\d+ a ${period}`),
          ),
        });
      }
      const { total, budget } = await readUsage(key);
      expect(total.cost).toBe(0.08);
      expect(budget[period as 'day']).toMatchObject({ spent: 0.08 });
      // Another tenant of the plan has a budget of its own.
      const other = await makeKey(plan);
      expect((await waitForReport(other, await post(other, textToImage()))).served_by?.tier).toBe(
        'paid',
      );
    },
  );

  test('that is spent refuses at POST what could run nowhere else, until the next day', async () => {
    const key = await makeKey('only');
    for (let n = 0; n < 2; n += 1) await waitForReport(key, await post(key, textToImage()));
    const refused = await ask('POST', '/prompt', key, { prompt: textToImage() });
    expect([refused.status, (refused.json() as { error: object }).error]).toEqual([
      429,
      expect.objectContaining({
        type: 'budget_used',
        extra_info: expect.objectContaining({ policy: 'plans.only.budget.day' }),
        message: expect.stringMatching(
          /plan only allows 0.1 a day \(budget.day\), of which 0.08 are spent/,
        ),
      }),
    ]);
    const untilMidnight = 86_400 - (Math.floor(Date.now() / 1_000) % 86_400);
    expect(Math.abs(Number(refused.headers.get('retry-after')) - untilMidnight)).toBeLessThan(10);
    const dear = await ask('POST', '/prompt', key, { prompt: textToImage({ batch: 3 }) });
    expect([dear.status, dear.text]).toEqual([403, expect.stringMatching(/costs 0.12 at least/)]);
    // What an administrator grants counts at once.
    const { tenant } = (await readUsage(key)) as unknown as { tenant: string };
    await ask('PUT', `/admin/v1/tenants/${tenant}`, ADMIN, { overrides: { budget: { day: 1 } } });
    const id = await until(async () => {
      const answer = await ask('POST', '/prompt', key, { prompt: textToImage() });
      return answer.status === 200 ? (answer.json() as { prompt_id: string }).prompt_id : undefined;
    }, 3_000);
    expect((await waitForReport(key, id)).served_by?.tier).toBe('paid');
  });

  test('of nothing leaves the tiers that cost nothing', async () => {
    const key = await makeKey('nothing');
    const report = await waitForReport(key, await post(key, textToImage()));
    expect(report.served_by?.tier).toBe('free');
  });

  test('ends a job that was let in and fits nowhere when its turn comes', async () => {
    const key = await makeKey('thrifty');
    const never = { extra_data: { fallback: 'never' } };
    for (let n = 0; n < 2; n += 1) await waitForReport(key, await post(key, textToImage()));
    const id = await post(key, textToImage(), never);
    expect(await waitForError(key, id)).toBe('over_budget');
    const report = await waitForReport(key, id);
    expect(report.skipped).toContainEqual({
      tier: 'paid',
      reason: expect.stringMatching(/0.02 of the budget of 0.1 a day are left/),
    });
  });

  test('is not passed at a price per second: the attempt is stopped, and the next tier asked', async () => {
    const key = await makeKey('metered');
    const report = await waitForReport(key, await post(key, slow(20, 0.1)));
    expect(report.served_by?.tier).toBe('spare');
    expect(report.attempts[0]).toMatchObject({ tier: 'metered', class: 'budget' });
    const { usage } = await readUsage(key);
    const metered = usage.find(({ tier }) => tier === 'metered');
    expect(metered!.cost).toBeGreaterThan(1);
    expect(metered!.cost).toBeLessThanOrEqual(2);
    // What is left is too little to begin.
    const next = await waitForReport(key, await post(key, slow(1, 0.1)));
    expect(next.attempts.map(({ tier }) => tier)).toEqual(['spare']);
  });

  test('is free again of what a killed worker had reserved, and its jobs are counted once', async () => {
    const key = await makeKey('monthly');
    const before = countCalls(paid);
    paid.setFault({ name: 'hang', times: 2 });
    const ids = await Promise.all([post(key, textToImage()), post(key, textToImage())]);
    await until(() => countCalls(paid) === before + 2, 10_000);
    await replaceWorkers();
    const reports = await Promise.all(ids.map((id) => waitForReport(key, id)));
    expect(reports.map(({ served_by }) => served_by?.tier)).toEqual(['paid', 'paid']);
    const { total, usage, budget } = await readUsage(key);
    expect(budget.month).toMatchObject({ spent: 0.08, left: 0 });
    expect(usage).toHaveLength(1);
    expect(total).toMatchObject({ jobs: { success: 2, error: 0 }, images: 2, cost: 0.08 });
  });
});
