import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  connectSocket,
  startSystem,
  stopEverything,
  until,
  type TestSystem,
} from '@tiercel/testkit';
import { makeKey } from './keys.ts';
import { slow } from './prompts.ts';

/** What waiting callers are told of their jobs: running APIs and workers. */

interface Job {
  readonly id: string;
  readonly status: string;
  readonly position?: number;
  readonly expected_start_time?: number;
  readonly expected_end_time?: number;
  readonly execution_start_time?: number;
  readonly execution_end_time?: number;
  readonly progress?: number;
}

const NODES = { NODES_DIR: 'tests/fixtures/nodes', WORKER_CONCURRENCY: '1' };

async function getJson<T>(url: string, headers: Record<string, string> = {}): Promise<T> {
  return (await (await fetch(url, { headers })).json()) as T;
}

async function post(system: TestSystem, body: object, headers: Record<string, string> = {}) {
  const answer = await fetch(`${system.url}/prompt`, {
    ...{ method: 'POST', headers, body: JSON.stringify(body) },
  });
  expect(answer.status).toBe(200);
  return ((await answer.json()) as { prompt_id: string }).prompt_id;
}

/** Of a `tiercel_queue` message. */
const jobsOf = (data: unknown) => (data as { jobs: Omit<Job, 'id' | 'status'>[] }).jobs;

let posted = 0;
/** Of a run time that no two share, so that nothing is cached. */
const job = (steps: number, delay: number): object => ({
  prompt: slow(steps, delay + (posted += 1) / 10_000),
});

afterAll(stopEverything);

describe('with auth.mode: open', () => {
  let system: TestSystem;
  beforeAll(async () => {
    system = await startSystem({ env: NODES });
    await until(async () => (await fetch(`${system.url}/object_info`)).ok, 20_000);
  });
  const read = (id: string, query = '?estimates=1') =>
    getJson<Job>(`${system.url}/api/jobs/${id}${query}`);
  const waitFor = (id: string, status: string) =>
    until(async () => (await read(id)).status === status, 20_000);

  test('who asks is told positions, expected times and progress; nobody else is', async () => {
    const first = await post(system, job(5, 0.2));
    await waitFor(first, 'completed');
    const ids: string[] = [];
    for (let n = 0; n < 4; n += 1) ids.push(await post(system, job(5, 0.2)));
    const [running = '', ...waiting] = ids;
    await waitFor(running, 'in_progress');
    const told = await Promise.all(waiting.map((id) => read(id)));
    expect(told.map(({ position }) => position)).toEqual([1, 2, 3]);
    const { jobs } = await getJson<{ jobs: Job[] }>(
      `${system.url}/api/jobs?status=pending&sort_order=asc&estimates=1`,
    );
    expect(jobs.map(({ id, position }) => [id, position])).toEqual(
      waiting.map((id, index) => [id, index + 1]),
    );
    const silent = await read(waiting[0] ?? '', '');
    expect(silent).toMatchObject({ status: 'pending' });
    expect(Object.keys(silent).filter((name) => /position|expected|progress/.test(name))).toEqual(
      [],
    );

    const seen: number[] = [];
    await until(async () => {
      const { status, progress } = await read(running);
      if (progress !== undefined) seen.push(progress);
      return status === 'completed';
    }, 20_000);
    expect(seen.some((progress) => progress > 0.2 && progress < 1)).toBe(true);
    expect([...seen].sort((a, b) => a - b)).toEqual(seen);

    await waitFor(waiting.at(-1) ?? '', 'completed');
    // Each was expected to take as long as the first one has.
    const { execution_start_time: begun = 0, execution_end_time: done = 0 } = await read(first);
    const { execution_start_time: startMs = 0 } = await read(running);
    for (const [index, { expected_start_time, expected_end_time }] of told.entries()) {
      const startsMs = startMs + (index + 1) * (done - begun);
      expect(Math.abs((expected_start_time ?? 0) - startsMs)).toBeLessThan(300);
      expect(Math.abs((expected_end_time ?? 0) - startsMs - (done - begun))).toBeLessThan(300);
      expect((await read(waiting[index] ?? '')).position).toBeUndefined();
    }
    // The error of what was said is on /metrics within the next looks.
    await until(async () => {
      const text = await (await fetch(`${system.url}/metrics`)).text();
      return /comfy_estimate_error_seconds_count\{[^}]*of="end"[^}]*\} [1-9]/.test(text);
    }, 15_000);
  });

  test('a socket that asks is told where its own jobs wait, another is told nothing', async () => {
    const asks = { featureFlags: { supports_tiercel_queue: true } };
    const socket = await connectSocket(system.url, { clientId: 'mine', ...asks });
    const silent = await connectSocket(system.url, { clientId: 'mine', featureFlags: {} });
    const busy = await post(system, job(10, 0.2));
    await waitFor(busy, 'in_progress');
    await post(system, job(1, 0.2));
    const [first, second] = [
      await post(system, { ...job(1, 0.2), client_id: 'mine' }),
      await post(system, { ...job(1, 0.2), client_id: 'mine' }),
    ];
    const told = jobsOf(
      (await socket.waitForText('tiercel_queue', (data) => jobsOf(data).length === 2)).data,
    );
    expect(told).toEqual([
      expect.objectContaining({ prompt_id: first, position: 2 }),
      expect.objectContaining({ prompt_id: second, position: 3 }),
    ]);
    const [place] = told;
    expect(place?.expected_start_time).toBeGreaterThan(Date.now() - 1_000);
    expect(place?.expected_end_time).toBeGreaterThan(place?.expected_start_time ?? 0);
    await socket.waitForText('tiercel_queue', (data) => jobsOf(data).length === 0);
    await waitFor(second, 'completed');
    expect(silent.textFrames('tiercel_queue')).toEqual([]);
  });

  test('progress counts all nodes of a graph of which not all are told, and of a prompt that is large', async () => {
    // A hundred branches that go by at once, and then a slow one; half a megabyte of words.
    const prompt: Record<string, object> = {};
    for (let n = 0; n < 100; n += 1) {
      const inputs = { width: 16, height: 16, batch_size: 1, color: (posted += 1) };
      prompt[`a${n}`] = { class_type: 'EmptyImage', inputs };
      prompt[`b${n}`] = { class_type: 'PreviewImage', inputs: { images: [`a${n}`, 0] } };
    }
    const slowOne = { steps: 10, delay: 0.2 + (posted += 1) / 10_000, fail_at: -1 };
    prompt.z = {
      class_type: 'SlowPreview',
      inputs: slowOne,
      _meta: { title: 'x'.repeat(500_000) },
    };
    prompt.zz = { class_type: 'PreviewImage', inputs: { images: ['z', 0] } };
    const id = await post(system, { prompt });
    const seen: number[] = [];
    await until(async () => {
      const { status, progress } = await read(id);
      if (progress !== undefined) seen.push(progress);
      return status === 'completed';
    }, 20_000);
    expect([...seen].sort((a, b) => a - b)).toEqual(seen);
    // 200 parts of 211 are done when the slow node begins.
    expect(seen.some((progress) => progress > 0.94 && progress < 1)).toBe(true);
  });
});

describe('with accounts', () => {
  test('everybody is told of his own jobs, an administrator of how many go before', async () => {
    const system = await startSystem({
      env: NODES,
      configYaml: JSON.stringify({ auth: { mode: 'required' }, queue: { perClient: 'parallel' } }),
    });
    const keyOf = async (...args: string[]) => ({
      'x-api-key': (await makeKey(system.options, ...args)).key,
    });
    const a = await keyOf('--tenant', 'a', '--plan', 'free');
    const b = await keyOf('--tenant', 'b', '--plan', 'free');
    const admin = await keyOf('--tenant', 'ops', '--role', 'admin');
    await until(async () => (await fetch(`${system.url}/object_info`, { headers: a })).ok, 20_000);
    const ended = await post(system, job(2, 0.1), a);
    const read = (id: string, headers: Record<string, string>) =>
      getJson<Job>(`${system.url}/api/jobs/${id}`, headers);
    await until(async () => (await read(ended, a)).status === 'completed', 20_000);
    const busy = await post(system, job(40, 0.1), admin);
    await until(async () => (await read(busy, admin)).status === 'in_progress', 20_000);
    // Equal client ids of two tenants do not meet.
    const socket = await connectSocket(system.url, {
      ...{ clientId: 'same', headers: b, featureFlags: { supports_tiercel_queue: true } },
    });
    const same = () => ({ ...job(5, 0.1), client_id: 'same' });
    const ofA = [await post(system, same(), a), await post(system, same(), a)];
    const ofB = await post(system, same(), b);
    const { data } = await socket.waitForText('tiercel_queue');
    expect(jobsOf(data)).toEqual([expect.objectContaining({ prompt_id: ofB, position: 1 })]);
    expect((await read(ofA[1] ?? '', a)).position).toBe(2);
    expect(await read(ofB, b)).toMatchObject({ position: 1 });
    expect((await read(ofB, b)).expected_start_time).toBeGreaterThan(Date.now());
    expect((await read(busy, admin)).progress).toBeGreaterThanOrEqual(0);
    // Who came last waits for one job of who came before, and goes before his next one. All is read once a second.
    await until(async () => {
      const { jobs } = await getJson<{ jobs: { id: string; position: number; ahead: number }[] }>(
        `${system.url}/admin/v1/queue/jobs`,
        admin,
      );
      const shown = new Map(jobs.map(({ id, position, ahead }) => [id, [position, ahead]]));
      return isDeepStrictEqual(
        [ofB, ofA[1] ?? ''].map((id) => shown.get(id)),
        [
          [1, 1],
          [2, 2],
        ],
      );
    }, 2_500);
  });
});
