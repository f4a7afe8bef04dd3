import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { stopEverything, until, type FakeComfyUi, type RawHttp } from '@tiercel/testkit';
import {
  readReport,
  readUpstreamIds,
  settle,
  startComfyUiSystem,
  startCounting,
} from './comfyui-system.ts';
import { lastMessage, post, saveImage, slow, waitForEnd } from './prompts.ts';

/** Two servers and an embedded tier: who does what another one cannot (issue 3). */

let first: FakeComfyUi;
let servers: readonly FakeComfyUi[];
let api: RawHttp;

beforeAll(async () => {
  ({ first, servers, api } = await startComfyUiSystem({
    servers: [{}, {}],
    moreTiers: '{ name: local, driver: embedded }',
  }));
});
beforeEach(async () => {
  for (const server of servers) await settle(server);
});
afterAll(stopEverything);

const LONG_MS = 40_000;

describe('a server', () => {
  test('that dies in the middle: another one runs the job', async () => {
    const id = await post(api, slow(40, 0.05));
    const busy = await until(async () => {
      for (const server of servers) if ((await readUpstreamIds(server)).length > 0) return server;
      return undefined;
    });
    await busy.kill9();
    expect((await waitForEnd(api, id, LONG_MS)).status.status_str).toBe('success');
    await busy.restart();
  }, 60_000);

  test('that fails every prompt is passed over, though it has least to do', async () => {
    const counts = await Promise.all(servers.map((server) => startCounting(server)));
    await first.failRoute('^POST /prompt$', { status: 500, body: 'disk full' });
    for (let n = 0; n < 3; n += 1) {
      const item = await waitForEnd(api, await post(api, saveImage()), LONG_MS);
      expect(item.status.status_str).toBe('success');
    }
    expect(await Promise.all(counts.map((countSince) => countSince()))).toEqual([0, 3]);
  }, 90_000);

  test('that stands still loses the job to another, and stops it when it goes on', async () => {
    const counts = await Promise.all(servers.map((server) => startCounting(server)));
    const id = await post(api, slow(200, 0.05));
    const stuck = await until(async () => {
      for (const server of servers) if ((await readUpstreamIds(server)).length > 0) return server;
      return undefined;
    });
    const [upstreamId] = await readUpstreamIds(stuck);
    stuck.signal('SIGSTOP');
    const countOther = counts[servers.indexOf(stuck) === 0 ? 1 : 0];
    await until(async () => ((await countOther?.()) ?? 0) > 0, 60_000);
    stuck.signal('SIGCONT');
    await until(async () => (await readUpstreamIds(stuck)).length === 0);
    expect((await waitForEnd(api, id, LONG_MS)).status.status_str).toBe('success');
    expect((await stuck.state()).interrupts).toContain(upstreamId);
  }, 120_000);
});

test('what only the server can refuse ends with its node_errors, and no other tier is asked', async () => {
  const nodeErrors = {
    '1': {
      errors: [
        {
          ...{ type: 'custom_validation_failed', message: 'Custom validation failed for node' },
          ...{ details: 'width - too odd', extra_info: {} },
        },
      ],
      ...{ dependent_outputs: ['2'], class_type: 'EmptyImage' },
    },
  };
  const error = {
    type: 'prompt_outputs_failed_validation',
    message: 'No.',
    details: '',
    extra_info: {},
  };
  for (const server of servers) await server.rejectPrompts({ error, node_errors: nodeErrors });
  const id = await post(api, saveImage());
  const [type, data] = lastMessage(await waitForEnd(api, id));
  expect(type).toBe('execution_error');
  expect(data).toMatchObject({
    ...{ node_id: '1', node_type: 'EmptyImage', exception_type: error.type },
    node_errors: nodeErrors,
  });
  expect((await readReport(api, id)).attempts.map(({ tier }) => tier)).toEqual(['gpu']);
}, 60_000);

describe('out of memory', () => {
  test('another server of the pool runs the job', async () => {
    for (const server of servers) {
      await server.outOfMemory();
      const id = await post(api, saveImage());
      await waitForEnd(api, id, LONG_MS);
      expect((await readReport(api, id)).served_by).toMatchObject({ tier: 'gpu' });
      await server.reset();
    }
  }, 90_000);

  // The last test of the file: the tier is left alone for a while after it.
  test('on all of them, the next tier does', async () => {
    const countSince = await startCounting(...servers);
    for (const server of servers) await server.outOfMemory();
    const id = await post(api, saveImage());
    await waitForEnd(api, id, LONG_MS);
    const report = await readReport(api, id);
    expect(report.served_by).toMatchObject({ tier: 'local' });
    expect(report.attempts.map((attempt) => [attempt.tier, attempt.class])).toEqual([
      ['gpu', 'capacity'],
      ['local', 'ok'],
    ]);
    expect(await countSince()).toBe(2);
  }, 90_000);
});
