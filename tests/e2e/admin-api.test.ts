import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Ajv2020 } from 'ajv/dist/2020.js';
import {
  http,
  startSystem,
  startWorker,
  stopEverything,
  until,
  type RawHttp,
  type TestSystem,
} from '@tiercel/testkit';
import {
  post,
  readHistory,
  saveImage,
  slow,
  waitForEnd,
  waitForRunning,
  waitForWorker,
} from './prompts.ts';

/** An operator's day: what is changed on one API counts on every process, at once and for what waits already. */

const ADMIN = 'the-admin-key-of-this-test';

afterAll(stopEverything);

interface Operation {
  readonly summary: string;
  readonly requestBody?: object;
  readonly responses: Readonly<
    Record<string, { content?: Readonly<Record<string, { schema: object }>> }>
  >;
}
interface Document {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: { readonly Error: object } };
}
interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  json(): unknown;
}

let system: TestSystem;
let apis: RawHttp[];

async function ask(
  method: string,
  path: string,
  body?: unknown,
  { key, url = system.url }: { key?: string; url?: string } = {},
): Promise<Answer> {
  const answer = await fetch(`${url}/admin/v1${path}`, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    headers: key === undefined ? {} : { 'x-api-key': key },
  });
  const text = await answer.text();
  return {
    ...{ status: answer.status, headers: answer.headers, text },
    json: () => JSON.parse(text) as unknown,
  };
}

async function readJson<T>(method: string, path: string, body?: unknown): Promise<T> {
  const answer = await ask(method, path, body);
  expect([path, answer.status, answer.text]).toEqual([
    path,
    expect.any(Number),
    expect.any(String),
  ]);
  expect(answer.status).toBeLessThan(300);
  return answer.json() as T;
}

const servedBy = async (api: RawHttp, id: string): Promise<string | undefined> => {
  const { headers } = await api.get(`/history/${id}`);
  return headers['x-tiercel-served-by']?.toString();
};

describe('the admin API', () => {
  beforeAll(async () => {
    system = await startSystem({
      ...{ apis: 2, workers: 0 },
      env: { NODES_DIR: 'tests/fixtures/nodes', WORKER_CONCURRENCY: '1' },
      configYaml: `
tiers:
  - { name: first, driver: embedded }
  - { name: second, driver: embedded }
plans: { studio: { weight: 2, maxRunning: 3, budget: { day: 5 } } }
`,
    });
    await startWorker(system.options);
    await startWorker(system.options);
    apis = system.apis.map(({ url }) => http(url));
    await waitForWorker(apis[0]!);
  });

  test('shows of a plan what the file says, what was set, and what counts, on every process', async () => {
    const set = { maxRunning: null, budget: { month: 50 } };
    expect(await readJson('PUT', '/plans/studio', set)).toEqual({
      name: 'studio',
      file: { weight: 2, maxRunning: 3, budget: { day: 5 } },
      override: set,
      effective: { weight: 2, maxRunning: null, budget: { day: 5, month: 50 } },
    });
    const elsewhere = { url: system.apis[1]!.url };
    await until(async () => {
      const seen = await ask('GET', '/plans/studio', undefined, elsewhere);
      return (seen.json() as { override: unknown }).override !== null;
    }, 1_000);
    expect((await ask('DELETE', '/plans/studio')).status).toBe(204);
    expect(await readJson('GET', '/plans/studio')).toMatchObject({
      override: null,
      effective: { maxRunning: 3 },
    });
  });

  test('makes a plan that the file does not know, and takes it away again', async () => {
    expect((await ask('GET', '/plans/trial')).status).toBe(404);
    expect(await readJson('PUT', '/plans/trial', { weight: 0.5 })).toMatchObject({ file: null });
    await readJson('PUT', '/tenants/acme', { plan: 'trial', overrides: { maxPending: 7 } });
    expect(await readJson('GET', '/tenants/acme')).toMatchObject({
      file: null,
      limits: { weight: 0.5, maxPending: 7 },
    });
    expect((await ask('DELETE', '/tenants/acme')).status).toBe(204);
    const network = 'ip:2001:db8:1:2::/64';
    const path = `/tenants/${encodeURIComponent(network)}`;
    expect(await readJson('PUT', path, { blocked: true })).toMatchObject({ name: network });
    expect((await ask('DELETE', path)).status).toBe(204);
    // What would be without effect is refused, with what is meant where that can be told.
    for (const [name, hint] of [
      ['ip:2001:DB8:1:2::7', network],
      ['ip:2001:db8:1:2:0::/64', network],
      ['ip:nowhere', 'ip:192.0.2.7'],
      ['ip:', 'ip:192.0.2.7'],
    ] as const) {
      const refused = await ask('PUT', `/tenants/${encodeURIComponent(name)}`, { blocked: true });
      expect([refused.status, refused.text]).toEqual([400, expect.stringContaining(hint)]);
    }
    expect((await ask('DELETE', '/plans/trial')).status).toBe(204);
    expect((await ask('GET', '/plans/trial')).status).toBe(404);
  });

  test.each([
    ['/plans/studio', { weight: -1, maxPnding: 3 }, /weight: .*maxPnding/],
    ['/plans/a%20b', {}, /name is 1 to 64/],
    ['/tenants/acme', { plan: 'nobody' }, /no such plan, only .*studio/],
    ['/tiers/first', { concurrency: 0 }, /concurrency: /],
  ])('refuses PUT %s with %j in words that say what to change', async (path, body, words) => {
    const answer = await ask('PUT', path, body);
    expect(answer.status).toBe(400);
    expect(answer.json()).toMatchObject({
      error: { type: 'bad_request', message: expect.stringMatching(words) },
    });
  });

  test('takes nothing back because of a PUT whose body got lost', async () => {
    await readJson('PUT', '/tiers/first', { concurrency: 3 });
    expect((await ask('PUT', '/tiers/first')).status).toBe(400);
    expect(await readJson('GET', '/tiers/first')).toMatchObject({ override: { concurrency: 3 } });
    expect(await readJson('PUT', '/tiers/first', {})).toMatchObject({ override: {} });
  });

  test('takes a tier out of use and back on every worker within a second', async () => {
    const [api] = apis as [RawHttp];
    const serve = async (): Promise<string | undefined> => {
      const id = await post(api, saveImage());
      await waitForEnd(api, id);
      return servedBy(api, id);
    };
    expect(await serve()).toMatch(/^first/);
    for (const action of ['disable', 'drain'] as const) {
      await readJson('POST', `/tiers/first/${action}`);
      await until(async () => (await serve())?.startsWith('second') === true, 1_500);
      await readJson('POST', '/tiers/first/enable');
      await until(async () => (await serve())?.startsWith('first') === true, 1_500);
    }
    expect((await ask('POST', '/tiers/first/reset-breaker')).status).toBe(204);
    expect((await ask('POST', '/tiers/third/disable')).status).toBe(404);
  });

  test('pauses the queue: what runs goes on, what comes waits, and is run when it resumes', async () => {
    const [api] = apis as [RawHttp];
    const running = await post(api, slow(8, 0.1));
    await waitForRunning(api, running);
    await readJson('POST', '/queue/pause', { pool: 'default' });
    await waitForEnd(api, running);
    // Longer than any process takes to hear of it: the worker that was free had no job to take until now.
    const waiting = await post(api, saveImage());
    const behind = await post(api, saveImage());
    const queue = await readJson<{ jobs: { id: string; status: string }[] }>('GET', '/queue/jobs');
    expect(queue.jobs).toEqual([
      expect.objectContaining({ id: waiting, status: 'pending' }),
      expect.objectContaining({ id: behind, status: 'pending' }),
    ]);
    expect(await readHistory(api, waiting)).toBeUndefined();
    expect(await readJson('GET', '/queue')).toMatchObject({
      pending: 2,
      pools: [{ name: 'default', override: { paused: true }, workers: 2 }],
    });
    await readJson('POST', '/queue/resume');
    await waitForEnd(api, waiting);
    await waitForEnd(api, behind);
  });

  test('moves a waiting job to the front or to a number, and cancels any', async () => {
    const [api] = apis as [RawHttp];
    // Both workers are busy until they have heard of the pause.
    const busy = [await post(api, slow(15, 0.1)), await post(api, slow(15, 0.1))];
    for (const id of busy) await waitForRunning(api, id);
    await readJson('POST', '/queue/pause');
    const ids: string[] = [];
    for (const number of [10, 20, 30, 40]) ids.push(await post(api, saveImage(), { number }));
    const order = async (): Promise<string[]> => {
      const { queue_pending } = (await api.get('/queue')).json() as unknown as {
        queue_pending: [number, string][];
      };
      return queue_pending.map(([, id]) => String(ids.indexOf(id)));
    };
    await readJson('POST', `/jobs/${ids[2]}/move`, { front: true });
    await readJson('POST', `/jobs/${ids[0]}/move`, { number: 35 });
    expect(await order()).toEqual(['2', '1', '0', '3']);
    expect(await readJson('POST', `/jobs/${ids[1]}/cancel`)).toEqual({
      ...{ id: ids[1], cancelled: true },
    });
    expect(await order()).toEqual(['2', '0', '3']);
    for (const id of busy) await waitForEnd(api, id);
    expect(await order()).toEqual(['2', '0', '3']);
    await readJson('POST', '/queue/resume');
    for (const index of [2, 0, 3]) await waitForEnd(api, ids[index]!);
    const late = await ask('POST', `/jobs/${ids[0]}/move`, { front: true });
    expect([late.status, late.text]).toEqual([409, expect.stringContaining('job_not_pending')]);
    expect((await ask('POST', '/jobs/nowhere/move', { front: true })).status).toBe(404);
    // Only what has changed is on record.
    const { entries } = await readJson<{ entries: Record<string, unknown>[] }>('GET', '/audit');
    const changes = entries.filter(({ target }) => ids.includes(String(target)));
    const moved = { action: 'jobs.move', before: { tenant: 'default', number: 10 } };
    expect(changes).toMatchObject([
      {
        ...{ action: 'jobs.cancel', target: ids[1], after: null },
        before: { tenant: 'default', status: 'pending', number: 20 },
      },
      { ...moved, target: ids[0], after: { tenant: 'default', number: 35 } },
      { target: ids[2], before: { number: 30 }, after: { front: true } },
    ]);
    for (const body of [{}, { front: false }, { front: true, number: 1 }]) {
      const refused = await ask('POST', `/jobs/${ids[0]}/move`, body);
      expect([refused.status, refused.text]).toEqual([400, expect.stringContaining('front')]);
    }
  });

  test('writes down who changed what, from where, how it was and is, and exports it', async () => {
    await readJson('PUT', '/plans/studio', { weight: 9 });
    await readJson('PUT', '/plans/studio', { weight: 8 });
    const { entries, next } = await readJson<{
      entries: Record<string, unknown>[];
      next: string;
    }>('GET', '/audit?limit=2');
    expect(entries[0]).toMatchObject({
      ...{ who: 'default', from: '127.0.0.1', action: 'plans.set', target: 'studio' },
      ...{ before: { weight: 9 }, after: { weight: 8 } },
    });
    const older = await readJson<{ entries: unknown[] }>('GET', `/audit?limit=1&before=${next}`);
    expect(older.entries).toHaveLength(1);
    const exported = await ask('GET', '/audit/export');
    expect(exported.headers.get('content-type')).toBe('application/x-ndjson; charset=utf-8');
    const lines = exported.text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    expect(lines.at(-1)).toEqual(entries[0]);
    const actions = new Set(lines.map((line) => (line as { action: string }).action));
    for (const action of [
      'tiers.set',
      'tiers.reset_breaker',
      'pools.set',
      'jobs.move',
      'jobs.cancel',
    ]) {
      expect(actions).toContain(action);
    }
  });

  test('answers only who asks from the machine itself while nobody is asked who he is', async () => {
    const answer = await fetch(`${system.url}/admin/v1/plans`, {
      headers: { 'x-forwarded-for': '127.0.0.1' },
    });
    expect(answer.status).toBe(403);
    expect(await answer.json()).toMatchObject({ error: { type: 'forbidden' } });
  });
});

describe('its OpenAPI document', () => {
  test('describes every answer as it is really given, refusals too', async () => {
    const document = (await ask('GET', '/openapi.json')).json() as Document;
    expect(document.openapi).toBe('3.1.0');
    const ajv = new Ajv2020({ strict: false, validateFormats: false });
    ajv.addSchema(document, 'admin');
    const { id: keyId } = await readJson<{ id: string }>('POST', '/keys', { tenant: 'a' });
    const { id: otherId } = await readJson<{ id: string }>('POST', '/keys', { tenant: 'a' });
    const job = await post(apis[0]!, saveImage());
    await waitForEnd(apis[0]!, job);
    const samples: Readonly<Record<string, string>> = {
      '/admin/v1/plans/{name}': '/admin/v1/plans/studio',
      '/admin/v1/pools/{name}': '/admin/v1/pools/default',
      '/admin/v1/tenants/{id}': '/admin/v1/tenants/acme',
      '/admin/v1/keys/{id}': `/admin/v1/keys/${otherId}`,
    };
    const bodies: Readonly<Record<string, object>> = {
      'post /admin/v1/keys': { tenant: 'a' },
      'post /admin/v1/jobs/{id}/move': { front: true },
    };
    const seen: string[] = [];
    const check = (operation: string, { responses }: Operation, answer: Answer): void => {
      const response = responses[answer.status];
      expect([operation, answer.status, answer.text, response === undefined]).toEqual([
        ...[operation, answer.status, answer.text, false],
      ]);
      const pointer = `${operation.split(' ')[1]!.replaceAll('/', '~1')}/${operation.split(' ')[0]}`;
      const content = response?.content?.['application/json'];
      if (content === undefined || answer.status === 204) return;
      const validate = ajv.getSchema(
        `admin#/paths/${encodeURI(pointer)}/responses/${answer.status}/content/application~1json/schema`,
      );
      const isValid = validate?.(answer.json());
      expect([operation, answer.status, validate?.errors, isValid]).toEqual([
        ...[operation, answer.status, null, true],
      ]);
      seen.push(`${operation} ${answer.status}`);
    };
    for (const [path, methods] of Object.entries(document.paths)) {
      const sorted = Object.entries(methods).sort(([a], [b]) =>
        a === 'delete' ? 1 : b === 'delete' ? -1 : 0,
      );
      for (const [method, operation] of sorted) {
        const filled = (samples[path] ?? path)
          .replace(/(keys)\/\{id\}/, `$1/${keyId}`)
          .replace(/(jobs)\/\{id\}/, `$1/${job}`)
          .replace(/(tiers)\/\{name\}/, '$1/first')
          .replace('/admin/v1', '');
        const name = `${method} ${path}`;
        const body = bodies[name] ?? (operation.requestBody === undefined ? undefined : {});
        check(name, operation, await ask(method.toUpperCase(), filled, body));
        if (operation.requestBody !== undefined) {
          check(name, operation, await ask(method.toUpperCase(), filled, { 'no such member': 1 }));
        }
        const unknown = path.replaceAll(/\{\w+\}/g, 'nowhere').replace('/admin/v1', '');
        if (unknown !== path.replace('/admin/v1', '')) {
          check(name, operation, await ask(method.toUpperCase(), unknown, body));
        }
      }
    }
    expect(seen.length).toBeGreaterThan(40);
    await readJson('POST', '/tiers/first/enable');
    await readJson('POST', '/queue/resume');
  });
});

describe('with callers that say who they are', () => {
  test('it is for administrators, and the audit names their keys', async () => {
    const closed = await startSystem({
      ...{ apis: 1, workers: 0 },
      configYaml: `auth: { mode: optional, adminKey: ${ADMIN} }\n`,
    });
    const { url } = closed;
    expect((await ask('GET', '/plans', undefined, { url })).status).toBe(401);
    const made = await ask('POST', '/keys', { tenant: 'a', role: 'admin' }, { url, key: ADMIN });
    const { id, key } = made.json() as { id: string; key: string };
    const user = await ask('POST', '/keys', { tenant: 'a' }, { url, key });
    const { key: userKey } = user.json() as { key: string };
    expect((await ask('GET', '/plans', undefined, { url, key: userKey })).status).toBe(403);
    const { entries } = (await ask('GET', '/audit', undefined, { url, key })).json() as {
      entries: { who: string }[];
    };
    expect(entries.map(({ who }) => who)).toEqual([id, 'admin']);
    expect((await ask('POST', `/keys/${id}/revoke`, undefined, { url, key })).status).toBe(204);
    await until(
      async () => (await ask('GET', '/plans', undefined, { url, key })).status === 401,
      1_000,
    );
  });
});
