import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  findDeadUrl,
  http,
  startApi,
  startSystem,
  startWorker,
  stopEverything,
  until,
  type SpawnedProcess,
  type TestSystem,
} from '@tiercel/testkit';
import { post, saveImage, slow, waitForEnd, waitForRunning } from './prompts.ts';

/** What operators read: every number means what docs/operations.md says, and adds up over processes. */

const JOBS = 7;
interface Scraped {
  readonly process: SpawnedProcess;
  readonly url: string;
}

let system: TestSystem;
let apis: Scraped[];
let workers: Scraped[];

beforeAll(async () => {
  system = await startSystem({
    apis: 2,
    workers: 0,
    env: { NODES_DIR: 'tests/fixtures/nodes', WORKER_CONCURRENCY: '2' },
    configYaml: 'queue: { maxPending: 3, lockMs: 2500 }\n',
  });
  apis = system.apis.map((process) => ({ process, url: process.url }));
  workers = [await startScrapedWorker(), await startScrapedWorker()];
});
afterAll(stopEverything);

async function startScrapedWorker(): Promise<Scraped> {
  const url = await findDeadUrl();
  const env = { ...system.options.env, METRICS_PORT: new URL(url).port };
  return { process: await startWorker({ ...system.options, env }), url };
}

/** All samples of a metric, over all processes, added up. */
async function sumOf(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
  const pages = await Promise.all([...apis, ...workers].map(scrape));
  return pages.reduce((sum, page) => sum + sumIn(page, name, labels), 0);
}

async function scrape({ url }: Pick<Scraped, 'url'>): Promise<string> {
  return (await http(url).get('/metrics')).text;
}

function sumIn(page: string, name: string, labels: Readonly<Record<string, string>> = {}): number {
  return page
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .filter((line) =>
      Object.entries(labels).every(([label, value]) => line.includes(`${label}="${value}"`)),
    )
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

describe('docs/operations.md', () => {
  test('lists exactly the metrics that there are, each with the process that shows it', async () => {
    const text = readFileSync(join(import.meta.dirname, '../../docs/operations.md'), 'utf8');
    const documented = [...text.matchAll(/^\| `(comfy_\w+)` +\| (API|worker|both) /gm)]
      .flatMap(([, name = '', where = '']) =>
        (where === 'both' ? ['API', 'worker'] : [where]).map((process) => `${process} ${name}`),
      )
      .concat([...text.matchAll(/^\| `(comfy_tier_\w+)`/gm)].map(([, name = '']) => `API ${name}`));
    const shown = await Promise.all(
      [...apis, ...workers].map(async (one) => {
        const names = [...(await scrape(one)).matchAll(/^# TYPE (comfy_\w+) /gm)];
        return names
          .map(([, name = '']) => name)
          .filter((name) => !/^comfy_(process|nodejs)_/.test(name))
          .map((name) => `${apis.includes(one) ? 'API' : 'worker'} ${name}`);
      }),
    );
    expect([...new Set(shown.flat())].sort()).toEqual(documented.sort());
  });
});

describe('counts', () => {
  test('of tiers are the same however many processes are scraped', async () => {
    const api = http(system.url);
    for (let n = 0; n < JOBS; n += 1) {
      await waitForEnd(api, await post(api, saveImage('counted')));
    }
    const tier = { tier: 'embedded' };
    await until(async () => (await sumOf('comfy_tier_served_total', tier)) >= JOBS, 15_000);
    for (let round = 0; round < 3; round += 1) {
      expect(await sumOf('comfy_tier_served_total', tier)).toBe(JOBS);
      expect(await sumOf('comfy_tier_attempts_total', { ...tier, class: 'ok' })).toBe(JOBS);
      expect(await sumOf('comfy_tier_attempt_seconds_count', tier)).toBe(JOBS);
    }
    expect(await sumOf('comfy_job_wait_seconds_count')).toBe(JOBS);
    expect(await sumOf('comfy_job_run_seconds_count', { outcome: 'success' })).toBe(JOBS);
    expect(await sumOf('comfy_jobs_redelivered_total')).toBe(0);
  });

  test('of tiers go on when the API that showed them stops', async () => {
    const process = await startApi(system.options);
    const third = { process, url: process.url };
    const shownBy = async (one: Scraped) => sumIn(await scrape(one), 'comfy_tier_served_total');
    const shown = await Promise.all([...apis, third].map(shownBy));
    expect([...shown].sort()).toEqual([0, 0, JOBS]);
    const owner = [...apis, third][shown.indexOf(JOBS)]!;
    await owner.process.stop();
    apis = [...apis, third].filter((one) => one !== owner);
    await until(async () => (await sumOf('comfy_tier_served_total')) === JOBS);
  });

  test('of requests are by route and status, and no caller makes up a label', async () => {
    const client = http(apis[0]!.url);
    const count = async (labels: Record<string, string>) =>
      sumIn(await scrape(apis[0]!), 'comfy_http_requests_total', labels);
    const before = await count({ route: '/history/:promptId', status: '200' });
    for (const id of ['a', 'b', 'c']) await client.get(`/history/${id}`);
    await client.get('/no/such/page');
    await client.get('/userdata?dir=..');
    await client.post('/prompt', 'x', { headers: { origin: 'http://evil.example' } });
    await client.request('BREW', '/prompt');
    await until(
      async () => (await count({ route: '/history/:promptId', status: '200' })) === before + 3,
    );
    expect(await count({ route: '(none)', status: '404' })).toBeGreaterThan(0);
    expect(await count({ route: '/userdata', status: '403' })).toBe(1);
    expect(await count({ route: '(refused)', status: '403' })).toBe(1);
    const page = await scrape(apis[0]!);
    expect(page).not.toMatch(/route="[^"]*(such|\/history\/a)/);
    expect(page).not.toContain('BREW');
  });
});

describe('a queue', () => {
  test('shows what waits and what runs, and each refusal of a full one', async () => {
    const api = http(apis[0]!.url);
    const running: string[] = [];
    for (let n = 0; n < 4; n += 1) {
      running.push(await post(api, slow(600, 0.05), { client_id: `busy-${n}` }));
      await waitForRunning(api, running[n]!);
    }
    const pending = [await post(api, saveImage('waits')), await post(api, saveImage('waits'))];
    const page = await scrape(apis[0]!);
    expect(sumIn(page, 'comfy_queue_running')).toBe(4);
    expect(sumIn(page, 'comfy_queue_pending')).toBe(2);
    expect(sumIn(page, 'comfy_queue_remaining')).toBe(6);
    expect(sumIn(page, 'comfy_workers_live')).toBe(2);
    expect(await sumOf('comfy_jobs_running')).toBe(4);
    pending.push(await post(api, saveImage('waits')));
    expect((await api.post('/prompt', { prompt: saveImage('refused') })).status).toBe(429);
    await until(async () => (await sumOf('comfy_http_requests_total', { status: '429' })) === 1);
    await api.post('/interrupt', {});
    for (const id of [...running, ...pending]) await waitForEnd(api, id);
  });

  test('shows how long jobs waited, which failed and why, and which ran again', async () => {
    const api = http(apis[0]!.url);
    // One waits behind another of its client.
    const first = await post(api, slow(10, 0.06), { client_id: 'waits' });
    const second = await post(api, slow(2, 0.01, 1), { client_id: 'waits' });
    await waitForEnd(api, first);
    await waitForEnd(api, second);
    await until(async () => (await sumOf('comfy_jobs_failed_total')) === 1);
    expect(await sumOf('comfy_jobs_failed_total', { type: 'node_failed' })).toBe(1);
    expect(await sumOf('comfy_job_wait_seconds_sum')).toBeGreaterThan(0.5);
    // A worker dies under its job: another one runs it again.
    const id = await post(api, slow(40, 0.05));
    await waitForRunning(api, id);
    const running = await Promise.all(
      workers.map(async (one) => sumIn(await scrape(one), 'comfy_jobs_running')),
    );
    const victim = workers[running.indexOf(1)]!;
    workers = workers.filter((one) => one !== victim);
    await victim.process.kill9();
    await waitForEnd(api, id, 30_000);
    await until(async () => (await sumOf('comfy_jobs_redelivered_total')) === 1);
  });
});

describe('an API that is told to stop', () => {
  test('says that it is not ready before it stops taking requests', async () => {
    const { redisUrl, redisPrefix = '', dataDir } = system.options;
    const configYaml = 'api: { drainDelayMs: 1500 }\n';
    const process = await startApi({ redisUrl, redisPrefix, dataDir, configYaml });
    const client = http(process.url);
    expect((await client.get('/health/ready')).status).toBe(200);
    const stopped = process.stop();
    await until(async () => (await client.get('/health/ready')).status === 503);
    const ready = await client.get('/health/ready');
    expect(ready.json()).toMatchObject({ ready: false, draining: 'stopping', redis: 'ok' });
    const id = await post(client, saveImage('drained'));
    expect((await client.get('/health/live')).status).toBe(200);
    expect(await stopped).toBe(0);
    await expect(client.get('/health/live')).rejects.toThrow(/ECONNREFUSED/);
    await waitForEnd(http(apis[0]!.url), id);
  });
});
