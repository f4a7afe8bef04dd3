import { afterEach, describe, expect, test } from '@jest/globals';
import { stopEverything, until } from '@tiercel/testkit';
import { countRuns, readReport, readUpstreamIds, startComfyUiSystem } from './comfyui-system.ts';
import { lastMessage, post, saveImage, slow, waitForEnd } from './prompts.ts';

/** Servers that lose, garble and forget what they are told (issue 3). */

afterEach(stopEverything);

const LONG_MS = 40_000;

const EMBEDDED = '{ name: local, driver: embedded }';

describe('a socket', () => {
  test('that goes silent in the middle costs frames, not the job', async () => {
    const { api, first } = await startComfyUiSystem();
    const id = await post(api, slow(20, 0.05));
    await until(async () => (await countRuns(first)) > 0);
    await first.dropSocketsSilently();
    expect((await waitForEnd(api, id, LONG_MS)).status.status_str).toBe('success');
    expect(await countRuns(first)).toBe(1);
  }, 90_000);

  test('that drops while the job ends loses no output: history tells what was missed', async () => {
    const { api, first } = await startComfyUiSystem();
    const graph = {
      ...slow(10, 0.05),
      3: { class_type: 'PreviewAny', inputs: { source: ['1', 0] } },
    };
    const id = await post(api, graph);
    await until(async () => (await countRuns(first)) > 0);
    await first.dropSocketsSilently();
    const { outputs } = await waitForEnd(api, id, LONG_MS);
    expect(Object.keys(outputs).sort()).toEqual(['2', '3']);
  }, 90_000);

  test('that sends garbage is not believed and not given up', async () => {
    const { api, first } = await startComfyUiSystem();
    const id = await post(api, slow(20, 0.05));
    await until(async () => (await countRuns(first)) > 0);
    await first.sendGarbage({ kind: 'text' });
    await first.sendGarbage({ kind: 'binary' });
    expect((await waitForEnd(api, id, LONG_MS)).status.status_str).toBe('success');
    expect(await countRuns(first)).toBe(1);
  }, 90_000);
});

describe('a server', () => {
  test('that has lost its history and the frames runs the job again', async () => {
    const { api, first } = await startComfyUiSystem();
    const id = await post(api, slow(10, 0.05));
    await until(async () => (await countRuns(first)) > 0);
    await first.dropSocketsSilently();
    await until(async () => (await readUpstreamIds(first)).length === 0);
    await first.loseHistory();
    expect((await waitForEnd(api, id, LONG_MS)).status.status_str).toBe('success');
    expect(await countRuns(first)).toBe(2);
  }, 90_000);

  test('that was restarted and has forgotten the prompt runs it again', async () => {
    const { api, first } = await startComfyUiSystem();
    const id = await post(api, slow(30, 0.05));
    await until(async () => (await countRuns(first)) > 0);
    await first.restart();
    expect((await waitForEnd(api, id, LONG_MS)).status.status_str).toBe('success');
    expect(await countRuns(first)).toBe(2);
  }, 90_000);

  test('that answers everything slowly, or cuts an answer short, serves all the same', async () => {
    const { api, first } = await startComfyUiSystem();
    await first.answerSlowly(700, '');
    const slowly = await waitForEnd(api, await post(api, saveImage()), LONG_MS);
    expect([slowly.status.status_str, await countRuns(first)]).toEqual(['success', 1]);
    await first.reset();
    await first.sendGarbage({ kind: 'truncated', path: '^GET /view' }, 1);
    const cut = await waitForEnd(api, await post(api, saveImage()), LONG_MS);
    expect(cut.status.status_str).toBe('success');
  }, 90_000);

  test('that answers a prompt with a page is not believed: nothing runs twice', async () => {
    const { api, first } = await startComfyUiSystem();
    await first.sendGarbage({ kind: 'html' }, 1);
    const item = await waitForEnd(api, await post(api, saveImage()), LONG_MS);
    expect([item.status.status_str, await countRuns(first)]).toEqual(['success', 1]);
  }, 90_000);

  test('that fails every prompt is passed over, though it has least to do', async () => {
    const { api, servers, first } = await startComfyUiSystem({ servers: [{}, {}] });
    await first.failRoute('^POST /prompt$', { status: 500, body: 'disk full' });
    for (let n = 0; n < 3; n += 1) {
      const item = await waitForEnd(api, await post(api, saveImage()), LONG_MS);
      expect(item.status.status_str).toBe('success');
    }
    expect(await Promise.all(servers.map((server) => countRuns(server)))).toEqual([0, 3]);
  }, 90_000);

  test('that stands still loses the job to another, and stops it when it goes on', async () => {
    const { api, servers } = await startComfyUiSystem({ servers: [{}, {}] });
    const id = await post(api, slow(200, 0.05));
    const stuck = await until(async () => {
      for (const server of servers) if ((await countRuns(server)) > 0) return server;
      return undefined;
    });
    stuck.signal('SIGSTOP');
    const other = servers.find((server) => server !== stuck);
    if (other === undefined) throw new Error('there are two');
    await until(async () => (await countRuns(other)) > 0, 60_000);
    stuck.signal('SIGCONT');
    await until(async () => (await readUpstreamIds(stuck)).length === 0);
    expect((await waitForEnd(api, id, LONG_MS)).status.status_str).toBe('success');
    expect((await stuck.state()).interrupts).toHaveLength(1);
  }, 120_000);
});

describe('out of memory', () => {
  test('another server of the pool runs the job', async () => {
    const { api, servers } = await startComfyUiSystem({ servers: [{}, {}], moreTiers: EMBEDDED });
    for (const server of servers) {
      await server.outOfMemory();
      const id = await post(api, saveImage());
      await waitForEnd(api, id, LONG_MS);
      expect((await readReport(api, id)).served_by).toMatchObject({ tier: 'gpu' });
      await server.reset();
    }
  }, 90_000);

  test('on all of them, the next tier does', async () => {
    const { api, servers } = await startComfyUiSystem({ servers: [{}, {}], moreTiers: EMBEDDED });
    for (const server of servers) await server.outOfMemory();
    const id = await post(api, saveImage());
    await waitForEnd(api, id, LONG_MS);
    const report = await readReport(api, id);
    expect(report.served_by).toMatchObject({ tier: 'local' });
    expect(report.attempts.map(({ tier, outcome }) => [tier, outcome])).toEqual([
      ['gpu', 'capacity'],
      ['local', 'ok'],
    ]);
    expect(await countRuns(...servers)).toBe(2);
  }, 90_000);
});

test('what only the server can refuse ends with its node_errors, and no other tier is asked', async () => {
  const { api, first } = await startComfyUiSystem({ moreTiers: EMBEDDED });
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
  await first.rejectPrompts({ error, node_errors: nodeErrors });
  const id = await post(api, saveImage());
  const [type, data] = lastMessage(await waitForEnd(api, id));
  expect(type).toBe('execution_error');
  expect(data).toMatchObject({
    ...{ node_id: '1', node_type: 'EmptyImage', exception_type: error.type },
    node_errors: nodeErrors,
  });
  expect((await readReport(api, id)).attempts.map(({ tier }) => tier)).toEqual(['gpu']);
}, 60_000);
