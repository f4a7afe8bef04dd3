import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startSystem, stopEverything, until, type TestSystem } from '@tiercel/testkit';
import { slow } from './prompts.ts';

/** Tenants of a running system: two APIs, a worker process with two hands. */

const ADMIN = 'an administrator’s key that is long enough'.replaceAll(/[^a-z]/g, '-');
let system: TestSystem;

beforeAll(async () => {
  system = await startSystem({
    apis: 2,
    env: { NODES_DIR: 'tests/fixtures/nodes', WORKER_CONCURRENCY: '2' },
    configYaml: JSON.stringify({
      auth: { mode: 'optional', adminKey: ADMIN },
      // Callers without a key are one tenant here, by their address.
      plans: { anonymous: { maxRunning: 1, intervalMs: null } },
    }),
  });
  await until(async () => (await fetch(`${system.url}/object_info`)).ok, 20_000);
});
afterAll(stopEverything);

let posted = 0;
/** As whom each job was posted: nobody else sees it. */
const headersOf = new Map<string, Record<string, string>>();

async function post(url: string, headers: Record<string, string>, extra = {}): Promise<string> {
  // No two are alike, so that no result is cached.
  posted += 1;
  const body = JSON.stringify({ prompt: slow(1, 0.3 + posted / 1_000), extra_data: extra });
  const answer = await fetch(`${url}/prompt`, { method: 'POST', body, headers });
  expect(answer.status).toBe(200);
  const { prompt_id: id } = (await answer.json()) as { prompt_id: string };
  headersOf.set(id, headers);
  return id;
}

interface Job {
  readonly id: string;
  readonly execution_start_time: number;
  readonly execution_end_time: number;
}

async function readEnded(ids: readonly string[]): Promise<Job[]> {
  const jobs = new Map<string, Job>();
  await until(async () => {
    for (const id of ids) {
      const answer = await fetch(`${system.url}/api/jobs/${id}`, {
        headers: headersOf.get(id) ?? {},
      });
      const job = (await answer.json()) as Job & { status: string };
      if (job.status === 'completed') jobs.set(id, job);
    }
    return jobs.size === ids.length;
  }, 25_000);
  return ids.map((id) => jobs.get(id)).filter((job) => job !== undefined);
}

describe('tenants share a worker', () => {
  test('one at its cap leaves the other hand to the rest, in the order of its priorities', async () => {
    const anonymous: string[] = [];
    for (let n = 0; n < 4; n += 1) anonymous.push(await post(system.apis[n % 2]?.url ?? '', {}));
    const urgent = await post(system.url, {}, { priority: 'high' });
    const others = [await post(system.url, { 'x-api-key': ADMIN })];
    const jobs = await readEnded([...anonymous, urgent, ...others]);
    const byStart = jobs
      .filter(({ id }) => !others.includes(id))
      .sort((a, b) => a.execution_start_time - b.execution_start_time);
    // Never two of them at once.
    for (const [index, job] of byStart.slice(1).entries()) {
      expect(job.execution_start_time).toBeGreaterThanOrEqual(
        byStart[index]?.execution_end_time ?? Infinity,
      );
    }
    expect(byStart.map(({ id }) => id).indexOf(urgent)).toBeLessThanOrEqual(1);
    const other = jobs.find(({ id }) => id === others[0]);
    expect(other?.execution_start_time).toBeLessThan(byStart[2]?.execution_start_time ?? 0);
  });
});
