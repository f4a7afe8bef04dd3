import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { http, makeTempFolder, startSystem, stopEverything } from '@tiercel/testkit';
import { post, saveImage, slow, waitForRunning, waitForWorker } from './prompts.ts';

/** The examples of the pages for callers and administrators are run as they stand there. */

const PAGES = ['for-callers.md', 'administration.md'];
const DOCS = join(import.meta.dirname, '../../docs');
const examples = PAGES.flatMap((page) =>
  [...readFileSync(join(DOCS, page), 'utf8').matchAll(/^```sh\n([^]*?)^```/gm)].map(
    ([, script = '']) => [page, script.trim()] as const,
  ),
);

const environment: Record<string, string> = {};

beforeAll(async () => {
  const system = await startSystem({
    ...{ apis: 1, workers: 1 },
    env: { NODES_DIR: 'tests/fixtures/nodes', WORKER_CONCURRENCY: '1' },
  });
  const api = http(system.url);
  await waitForWorker(api);
  // One that waits for as long as the test goes on.
  await waitForRunning(api, await post(api, slow(600, 0.1)));
  const job = await post(api, saveImage());
  Object.assign(environment, { TIERCEL: system.url, KEY: 'none', JOB: job });
});
afterAll(stopEverything);

test.each(examples)('%s: %s', async (_page, script) => {
  const outcome = await new Promise<string>((resolve) => {
    const options = {
      cwd: makeTempFolder(),
      env: { ...process.env, ...environment },
    };
    execFile('bash', ['-euo', 'pipefail', '-c', script], options, (error, out, errors) => {
      resolve(error === null ? 'done' : `${error.message}\n${out}\n${errors}`);
    });
  });
  expect(outcome).toBe('done');
});

test('there are examples', () => {
  expect(examples.length).toBeGreaterThan(6);
});
