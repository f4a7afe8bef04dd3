import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  http,
  startSystem,
  stopEverything,
  until,
  type RawHttp,
  type TestSystem,
} from '@tiercel/testkit';
import { httpWithKey } from './keys.ts';
import { post, slow, waitForWorker } from './prompts.ts';

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
  await waitForWorker(http(system.url));
});
afterAll(stopEverything);

let posted = 0;
/** Who posted each job: nobody else sees it. */
const posterOf = new Map<string, RawHttp>();

async function postSlow(api: RawHttp, extra = {}): Promise<string> {
  // No two are alike, so that no result is cached.
  posted += 1;
  const id = await post(api, slow(1, 0.3 + posted / 1_000), { extra_data: extra });
  posterOf.set(id, api);
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
      const answer = await posterOf.get(id)?.get(`/api/jobs/${id}`);
      const job = answer?.json() as (Job & { status: string }) | undefined;
      if (job?.status === 'completed') jobs.set(id, job);
    }
    return jobs.size === ids.length;
  }, 25_000);
  return ids.map((id) => jobs.get(id)).filter((job) => job !== undefined);
}

describe('tenants share a worker', () => {
  test('one at its cap leaves the other hand to the rest, in the order of its priorities', async () => {
    const anonymous: string[] = [];
    for (let n = 0; n < 4; n += 1) {
      anonymous.push(await postSlow(http(system.apis[n % 2]?.url ?? '')));
    }
    const urgent = await postSlow(http(system.url), { priority: 'high' });
    const others = [await postSlow(httpWithKey(system.url, ADMIN))];
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
