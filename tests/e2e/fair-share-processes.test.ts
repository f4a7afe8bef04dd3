import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  makeTempFolder,
  startSystem,
  stopEverything,
  until,
  type TestSystem,
} from '@tiercel/testkit';
import { makeKey } from './keys.ts';

/** Plans kept by three APIs and four workers together, one of which dies in between. */

afterAll(stopEverything);

const TENANTS = ['capped', 'spaced', 'free'] as const;
const MOST = 2;
const INTERVAL_MS = 700;
const JOBS = 6;
const HANDS = 2;

let system: TestSystem;
let keys: readonly string[];

beforeAll(async () => {
  system = await startSystem({
    ...{ apis: 3, workers: 4 },
    env: { NODES_DIR: 'tests/fixtures/nodes', WORKER_CONCURRENCY: String(HANDS) },
    configYaml: JSON.stringify({
      auth: { mode: 'required' },
      queue: { lockMs: 2_000 },
      plans: {
        capped: { maxRunning: MOST },
        spaced: { intervalMs: INTERVAL_MS, maxRunning: null },
        free: { maxRunning: null, weight: 3 },
      },
    }),
  });
  const made = await Promise.all(
    TENANTS.map((name) => makeKey(system.options, '--tenant', name, '--plan', name)),
  );
  keys = made.map(({ key }) => key);
  const headers = { 'x-api-key': keys[0] ?? '' };
  await until(async () => (await fetch(`${system.url}/object_info`, { headers })).ok, 20_000);
});

test('caps and intervals hold over all processes, and no job is lost', async () => {
  const log = join(makeTempFolder(), 'runs');
  writeFileSync(log, '');
  const read = (): string[] => readFileSync(log, 'utf8').trim().split('\n');
  const tags = TENANTS.flatMap((name) => Array.from({ length: JOBS }, (_, n) => `${name}-${n}`));
  await Promise.all(
    tags.map(async (tag, index) => {
      const { url } = system.apis[index % 3] ?? system;
      const key = keys[TENANTS.findIndex((name) => tag.startsWith(name))] ?? '';
      const prompt = {
        '1': { class_type: 'LoggedSleep', inputs: { ms: 300, log, tag } },
        '2': { class_type: 'PreviewImage', inputs: { images: ['1', 0] } },
      };
      const headers = { 'x-api-key': key };
      const body = JSON.stringify({ prompt, prompt_id: tag });
      expect((await fetch(`${url}/prompt`, { method: 'POST', headers, body })).status).toBe(200);
    }),
  );
  const ended = (): string[] => read().filter((line) => line.startsWith('end '));
  await until(() => ended().length >= 4, 20_000);
  await system.workers[0]?.kill9();
  await until(() => new Set(ended()).size === tags.length, 30_000);

  expect(new Set(ended())).toEqual(new Set(tags.map((tag) => `end ${tag}`)));
  // The two that the dead worker had may have come to the end of this node, and not to theirs.
  expect(ended().length).toBeLessThanOrEqual(tags.length + HANDS);
  const running = new Set<string>();
  let most = 0;
  for (const line of read()) {
    const [what, tag = ''] = line.split(' ');
    if (!tag.startsWith('capped')) continue;
    // A run that its worker took with it begins a second time.
    if (what === 'start') running.add(tag);
    else running.delete(tag);
    most = Math.max(most, running.size);
  }
  expect(most).toBe(MOST);

  const headers = { 'x-api-key': keys[1] ?? '' };
  const starts = await Promise.all(
    tags
      .filter((tag) => tag.startsWith('spaced'))
      .map(async (tag) => {
        const answer = await fetch(`${system.url}/api/jobs/${tag}`, { headers });
        const job = (await answer.json()) as { execution_start_time: number };
        return job.execution_start_time;
      }),
  );
  // A worker may be slow to begin, none begins before its job was handed out.
  const span = Math.max(...starts) - Math.min(...starts);
  expect(span).toBeGreaterThan((JOBS - 2) * INTERVAL_MS);
});
