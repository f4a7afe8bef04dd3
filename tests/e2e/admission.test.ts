import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startSystem, stopEverything, until, type TestSystem } from '@tiercel/testkit';
import { httpWithKey } from './keys.ts';
import { saveImage, slow, waitForWorker } from './prompts.ts';

/** What plans let callers post, over several APIs at once. */

const ADMIN = 'the-admin-key-of-this-test';
let system: TestSystem;

beforeAll(async () => {
  system = await startSystem({
    ...{ apis: 3, workers: 1 },
    env: { NODES_DIR: 'tests/fixtures/nodes', WORKER_CONCURRENCY: '1' },
    configYaml: JSON.stringify({
      auth: { mode: 'required', adminKey: ADMIN },
      tiers: [
        { name: 'first', driver: 'embedded' },
        { name: 'second', driver: 'embedded' },
      ],
      plans: {
        second: { tiers: ['second'] },
        brief: { maxJobMs: 400 },
        small: { maxPending: 4, maxRunning: 1, intervalMs: null },
        daily: { jobsPerDay: 3 },
        narrow: { maxPixels: 10_000, maxBatch: 2, denyNodes: ['SlowPreview'] },
        listed: { nodes: ['EmptyImage', 'SaveImage'] },
      },
    }),
  });
  await waitForWorker(httpWithKey(system.url, ADMIN));
});
afterAll(stopEverything);

interface Answer {
  readonly status: number;
  readonly retryAfter: number;
  readonly body: {
    prompt_id?: string;
    error?: { type: string; message: string; extra_info?: { policy?: string } };
  };
}

async function ask(
  method: string,
  path: string,
  key: string,
  body?: object,
  { api = 0, headers = {} }: { api?: number; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const caller = httpWithKey(system.apis[api]?.url ?? '', key);
  const answer = await caller.request(method, path, body, { headers });
  return {
    status: answer.status,
    retryAfter: Number(answer.headers['retry-after']),
    body: answer.text.startsWith('{') ? (answer.json() as Answer['body']) : {},
  };
}

const post = (key: string, prompt: object, more: object = {}, api = 0): Promise<Answer> =>
  ask('POST', '/prompt', key, { prompt, ...more }, { api });

let tenants = 0;
async function makeKey(plan: string, tenant = `${plan}-${(tenants += 1)}`): Promise<string> {
  const made = await ask('POST', '/admin/v1/keys', ADMIN, { tenant, plan });
  expect(made.status).toBe(201);
  return (made.body as { key: string }).key;
}

test('exactly maxPending jobs of a tenant wait, whichever APIs they are posted to', async () => {
  const key = await makeKey('small');
  const other = await makeKey('small');
  const first = await post(key, slow(600, 0.1));
  await until(async () => {
    const job = await ask('GET', `/api/jobs/${first.body.prompt_id}`, key);
    return (job.body as { status?: string }).status === 'in_progress';
  });
  const answers = await Promise.all(
    Array.from({ length: 12 }, (_, n) => post(key, saveImage(), {}, n % 3)),
  );
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(4);
  const [refused] = answers.filter(({ status }) => status === 429);
  expect(refused?.body.error).toEqual({
    type: 'too_many_pending',
    message: expect.stringMatching(/plan small lets 4 jobs of yours wait \(maxPending\), and 4 do/),
    ...{ details: '', extra_info: { policy: 'plans.small.maxPending', position: 5 } },
  });
  expect(refused?.retryAfter).toBeGreaterThanOrEqual(1);
  expect((await post(other, saveImage())).status).toBe(200);

  // A place is free again when a job is deleted, and when one starts.
  const waiting = answers.find(({ status }) => status === 200)?.body.prompt_id;
  await ask('POST', '/queue', key, { delete: [waiting] });
  expect((await post(key, saveImage())).status).toBe(200);
  expect((await post(key, saveImage())).status).toBe(429);
  await ask('POST', `/admin/v1/jobs/${first.body.prompt_id}/cancel`, ADMIN);
  const ids: string[] = [];
  await until(async () => {
    const { status, body } = await post(key, saveImage());
    if (status === 200) ids.push(body.prompt_id ?? '');
    return ids.length >= 6;
  }, 20_000);
});

test('a change of the plan counts at once for tenants whose jobs wait', async () => {
  const key = await makeKey('small');
  await ask('POST', '/admin/v1/queue/pause', ADMIN, {});
  const blocker = await post(await makeKey('pro'), slow(5, 0.1));
  expect(blocker.status).toBe(200);
  for (let n = 0; n < 4; n += 1) expect((await post(key, saveImage())).status).toBe(200);
  expect((await post(key, saveImage())).status).toBe(429);
  await ask('PUT', '/admin/v1/plans/small', ADMIN, { maxPending: 5 });
  expect((await post(key, saveImage())).status).toBe(200);
  expect((await post(key, saveImage())).status).toBe(429);
  await ask('DELETE', '/admin/v1/plans/small', ADMIN);
  await ask('POST', '/admin/v1/queue/resume', ADMIN, {});
});

test('jobsPerDay counts accepted jobs only, and tells when the next day begins', async () => {
  const key = await makeKey('daily');
  expect((await post(key, { '1': { class_type: 'Nothing', inputs: {} } })).status).toBe(400);
  const answers = await Promise.all([0, 1, 2, 0, 1].map((api) => post(key, saveImage(), {}, api)));
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 200, 429, 429]);
  const refused = answers.find(({ status }) => status === 429);
  expect(refused?.body.error?.type).toBe('daily_jobs_used');
  expect(refused?.body.error?.extra_info?.policy).toBe('plans.daily.jobsPerDay');
  expect(refused?.body.error?.message).toMatch(/plan daily allows 3 jobs a day .* midnight UTC/);
  const untilMidnight = 86_400 - (Math.floor(Date.now() / 1_000) % 86_400);
  expect(Math.abs((refused?.retryAfter ?? 0) - untilMidnight)).toBeLessThan(10);
});

const picture = (inputs: object) => ({
  '1': {
    class_type: 'EmptyImage',
    inputs: { width: 64, height: 64, batch_size: 1, color: 0, ...inputs },
  },
  '2': { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: 'x' } },
});

test.each([
  ['narrow', picture({ width: 200 }), /allows pictures of 10000 pixels .* asks for 12800/],
  ['narrow', picture({ width: '200' }), /maxPixels/],
  ['narrow', picture({ batch_size: 3 }), /allows 2 pictures at once \(maxBatch\)/],
  ['narrow', slow(1, 0.1), /does not allow nodes of the class SlowPreview; node 1 is one/],
  ['listed', slow(1, 0.1), /does not allow nodes of the class SlowPreview/],
])('the plan %s refuses %j in words', async (plan, prompt, words) => {
  const { status, body } = await post(await makeKey(plan), prompt);
  expect([status, body.error?.type]).toEqual([403, 'plan_forbids']);
  expect(body.error?.message).toMatch(words);
  expect((await post(await makeKey(plan), picture({}))).status).toBe(200);
});

test('an Idempotency-Key gets the first answer again, of its own tenant only', async () => {
  const [key, other] = [await makeKey('pro'), await makeKey('pro')];
  const body = { prompt: saveImage() };
  const headers = { 'idempotency-key': 'the same' };
  const send = (who: string, what: object, api: number) =>
    ask('POST', '/prompt', who, what, { api, headers });
  const answers = await Promise.all([0, 1, 2, 0].map((api) => send(key, body, api)));
  expect(new Set(answers.map((answer) => JSON.stringify(answer.body))).size).toBe(1);
  expect(answers[0]?.status).toBe(200);
  const jobs = await ask('GET', '/api/jobs', ADMIN);
  const listed = (jobs.body as { jobs?: { id: string }[] }).jobs ?? [];
  expect(listed.filter(({ id }) => id === answers[0]?.body.prompt_id).length).toBeLessThanOrEqual(
    1,
  );
  const theirs = await send(other, body, 0);
  expect(theirs.body.prompt_id).not.toBe(answers[0]?.body.prompt_id);
  const changed = await send(key, { prompt: saveImage() }, 1);
  expect([changed.status, changed.body.error?.type]).toEqual([422, 'idempotency_key_reused']);
  const long = await ask('POST', '/prompt', key, body, {
    headers: { 'idempotency-key': 'x'.repeat(256) },
  });
  expect(long.status).toBe(400);
});

test('a plan says which tiers run its jobs, and for how long', async () => {
  const key = await makeKey('second');
  const readServer = async (who: string, id = ''): Promise<string> =>
    await until(async () => {
      const answer = await httpWithKey(system.url, who).get(`/history/${id}`);
      return answer.headers['x-tiercel-served-by']?.toString();
    });
  expect(await readServer(key, (await post(key, saveImage())).body.prompt_id)).toMatch(/^second/);
  const free = await makeKey('pro');
  expect(await readServer(free, (await post(free, saveImage())).body.prompt_id)).toMatch(/^first/);

  const brief = await makeKey('brief');
  const id = (await post(brief, slow(100, 0.1))).body.prompt_id ?? '';
  const ended = await until(async () => {
    const job = await ask('GET', `/api/jobs/${id}`, brief);
    const { status, execution_error: error } = job.body as {
      status?: string;
      execution_error?: { exception_message: string };
    };
    return status === 'failed' ? error : undefined;
  });
  expect(ended.exception_message).toContain('400 ms');
});

test('metrics tell how many were let in and refused, and why, and never of whom', async () => {
  const key = await makeKey('narrow', 'a-tenant-of-metrics');
  const read = async (): Promise<string> => {
    const pages = await Promise.all(
      system.apis.map(({ url }) => httpWithKey(url, ADMIN).get('/metrics')),
    );
    return pages.map(({ text }) => text).join('\n');
  };
  const count = (page: string, outcome: string): number =>
    page
      .split('\n')
      .filter((line) => line.startsWith('comfy_admissions_total') && line.includes(`"${outcome}"`))
      .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  const before = await read();
  await post(key, slow(1, 0.1), {}, 1);
  await post(key, picture({}), {}, 2);
  await post(key, {}, {}, 2);
  const after = await read();
  for (const outcome of ['plan_forbids', 'accepted', 'rejected']) {
    expect([outcome, count(after, outcome) - count(before, outcome)]).toEqual([outcome, 1]);
  }
  expect(count(after, 'too_many_pending')).toBeGreaterThan(0);
  expect(after).toContain('comfy_queue_oldest_pending_seconds');
  expect(after).not.toContain('a-tenant-of-metrics');
});
