import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  connectSocket,
  startSystem,
  stopEverything,
  until,
  type TestSystem,
} from '@tiercel/testkit';
import { makeKey } from './keys.ts';
import { slow } from './prompts.ts';

/** Jobs of a plan that preempts, on a worker with one hand that long jobs of another plan keep busy. */

const STEPS = 40;
const DELAY_S = 0.1;
const RUN_MS = STEPS * DELAY_S * 1_000;

let system: TestSystem;
let batch: string;
let urgent: string;

beforeAll(async () => {
  system = await startSystem({
    env: { NODES_DIR: 'tests/fixtures/nodes', WORKER_CONCURRENCY: '1' },
    workers: 1,
    configYaml: JSON.stringify({
      auth: { mode: 'required' },
      plans: { batch: { preemptible: true }, urgent: { preempts: true } },
    }),
  });
  batch = (await makeKey(system.options, '--tenant', 'b', '--plan', 'batch')).key;
  urgent = (await makeKey(system.options, '--tenant', 'u', '--plan', 'urgent')).key;
  await until(async () => (await get(batch, '/object_info')).ok, 20_000);
});
afterAll(stopEverything);

const get = (key: string, path: string) =>
  fetch(`${system.url}${path}`, { headers: { 'x-api-key': key } });

interface Job {
  readonly status: string;
  readonly progress?: number;
  readonly execution_start_time: number;
  readonly execution_end_time: number;
}
const read = async (key: string, id: string) =>
  (await (await get(key, `/api/jobs/${id}`)).json()) as Job;

let posted = 0;
/** No two are alike, so that none is cached; all of so many steps are expected to take the same time. */
async function post(key: string, steps: number, clientId?: string): Promise<string> {
  posted += 1;
  const prompt = slow(steps, DELAY_S + posted / 100_000);
  const answer = await fetch(`${system.url}/prompt`, {
    ...{ method: 'POST', headers: { 'x-api-key': key } },
    body: JSON.stringify({ prompt, ...(clientId === undefined ? {} : { client_id: clientId }) }),
  });
  expect(answer.status).toBe(200);
  return ((await answer.json()) as { prompt_id: string }).prompt_id;
}
const waitFor = (key: string, id: string, status: string) =>
  until(async () => (await read(key, id)).status === status, 30_000);

test('a young job goes back for an urgent one and runs again; one that is nearly done ends first', async () => {
  // What such jobs take is known.
  await waitFor(batch, await post(batch, STEPS), 'completed');

  const socket = await connectSocket(system.url, {
    ...{ clientId: 'c', headers: { 'x-api-key': batch } },
    featureFlags: { supports_tiercel_queue: true },
  });
  const long = await post(batch, STEPS, 'c');
  await waitFor(batch, long, 'in_progress');
  const quick = await post(urgent, 2);
  await waitFor(urgent, quick, 'completed');
  expect((await read(batch, long)).status).not.toBe('completed');
  expect(await socket.waitForText('tiercel_requeued')).toMatchObject({
    data: { prompt_id: long, reason: 'preempted' },
  });
  await waitFor(batch, long, 'completed');
  await socket.waitForText('execution_success');
  const types = socket.textFrames().map(({ type }) => type);
  // It begins anew, whatever the socket heard of its first run.
  expect(types.slice(types.indexOf('tiercel_requeued'))).toContain('execution_start');
  expect(types.filter((type) => type === 'execution_success').length).toBe(1);
  expect(types).not.toContain('execution_error');
  const ran = await read(batch, long);
  // Its last run is a whole one.
  expect(ran.execution_end_time - ran.execution_start_time).toBeGreaterThan(0.8 * RUN_MS);

  const nearlyDone = await post(batch, STEPS);
  await until(async () => ((await read(batch, nearlyDone)).progress ?? 0) > 0.6, 30_000);
  const later = await post(urgent, 2);
  await waitFor(urgent, later, 'completed');
  expect((await read(batch, nearlyDone)).status).toBe('completed');
});
