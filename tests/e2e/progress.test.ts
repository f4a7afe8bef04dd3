import { afterEach, describe, expect, test } from '@jest/globals';
import {
  connectSocket,
  http,
  startFakeAutomatic1111,
  startFakeOpenAi,
  startSystem,
  startWorker,
  stopEverything,
  until,
  type EventRecorder,
} from '@tiercel/testkit';
import { isIdleAfter, startComfyUiSystem } from './comfyui-system.ts';
import { textToImage } from './fallback-system.ts';
import { post, slow, waitForEnd } from './prompts.ts';

/** What a client sees of a job's progress never goes back, whatever becomes of its attempts. */

const NODES = { NODES_DIR: 'tests/fixtures/nodes' };
const SHORT_LOCK = 'queue: { lockMs: 2500 }\n';

afterEach(stopEverything);

interface Step {
  readonly node: string;
  readonly value: number;
  readonly max: number;
  readonly state?: string;
}

/** Every place where a later frame says less than an earlier one. */
function findStepsBack(socket: EventRecorder): string[] {
  const faults: string[] = [];
  const received = new Map<string, Step>();
  let shown = new Map<string, Step>();
  const compare = (before: Step | undefined, after: Step): void => {
    if (before === undefined) return;
    const isLess =
      after.value / after.max < before.value / before.max || after.value < before.value;
    // Before its first step a node is at 0 of 1.
    if (isLess && before.value > 0)
      faults.push(`${JSON.stringify(before)} -> ${JSON.stringify(after)}`);
    if (before.state === 'finished' && after.state !== 'finished') {
      faults.push(`${before.node} was finished, is ${after.state ?? ''}`);
    }
  };
  for (const { type, data } of socket.textFrames()) {
    if (type === 'progress') {
      const { node, value, max } = data as Step;
      compare(received.get(node), { node, value, max });
      received.set(node, { node, value, max });
    } else if (type === 'progress_state') {
      const { nodes } = data as { nodes: Record<string, Step> };
      const now = new Map(
        Object.entries(nodes).map(([node, { value, max, state }]) => [
          node,
          { node, value, max, state: state ?? '' },
        ]),
      );
      for (const [node, before] of shown) {
        const after = now.get(node);
        if (after === undefined) faults.push(`${node} is not shown any more`);
        else compare(before, after);
      }
      shown = now;
    }
  }
  return faults;
}

function valuesOf(socket: EventRecorder, node: string): number[] {
  return socket
    .textFrames('progress')
    .filter(({ data }) => (data as Step).node === node)
    .map(({ data }) => (data as Step).value);
}

describe('when the worker of a job is killed', () => {
  test('the next run is told from where the first one was', async () => {
    const system = await startSystem({ env: NODES, configYaml: SHORT_LOCK });
    const api = http(system.url);
    const socket = await connectSocket(system.url, { clientId: 'c' });
    const prompt = {
      ...slow(12, 0.05),
      '3': { class_type: 'ImageInvert', inputs: { image: ['1', 0] } },
      '4': { class_type: 'SlowPreview', inputs: { steps: 30, delay: 0.05, fail_at: -1 } },
      '5': { class_type: 'PreviewImage', inputs: { images: ['4', 0] } },
    };
    const id = await post(api, prompt, { client_id: 'c' });
    await until(() => valuesOf(socket, '4').some((value) => value >= 12), 20_000);
    await system.workers[0]!.kill9();
    await startWorker(system.options);
    await socket.waitForText('executing', isIdleAfter(id), 40_000);
    expect(findStepsBack(socket)).toEqual([]);
    expect(valuesOf(socket, '4').at(-1)).toBe(30);
    // Frontends draw the node that runs: it is told again where its bar is.
    expect(socket.textFrames('execution_success')).toHaveLength(1);
  }, 60_000);

  test('neither does it when a ComfyUI server has gone on without it', async () => {
    const { api, system } = await startComfyUiSystem({ config: SHORT_LOCK });
    const socket = await connectSocket(system.url, { clientId: 'c' });
    const id = await post(api, slow(60, 0.05), { client_id: 'c' });
    await until(() => valuesOf(socket, '1').some((value) => value >= 10));
    await system.workers[0]!.kill9();
    await startWorker(system.options);
    await socket.waitForText('executing', isIdleAfter(id), 40_000);
    expect(findStepsBack(socket)).toEqual([]);
  }, 60_000);
});

describe('when a ComfyUI server is lost in the middle', () => {
  test('the run on the next server is held back until it is ahead', async () => {
    const { api, servers, system } = await startComfyUiSystem({ servers: [{}, {}] });
    const socket = await connectSocket(system.url, { clientId: 'c' });
    const id = await post(api, slow(30, 0.05), { client_id: 'c' });
    await until(() => valuesOf(socket, '1').some((value) => value >= 15));
    const busy = await Promise.all(servers.map((server) => server.state()));
    const index = busy.findIndex(({ prompts }) => prompts.length > 0);
    await servers[index]!.kill9();
    await socket.waitForText('executing', isIdleAfter(id), 60_000);
    expect(findStepsBack(socket)).toEqual([]);
    expect(valuesOf(socket, '1').at(-1)).toBe(30);
    expect((await waitForEnd(api, id)).status.status_str).toBe('success');
  }, 90_000);
});

describe('when one tier fails and another serves the job', () => {
  test('the sampler’s bar stays where the first tier had brought it', async () => {
    const first = await startFakeAutomatic1111({ latencyMs: 3_000 });
    const second = await startFakeOpenAi({ latencyMs: 1_500 });
    const system = await startSystem({
      configYaml: [
        'tiers:',
        `  - { name: sd, driver: automatic1111, url: '${first.url}', timeoutMs: 2500 }`,
        `  - { name: api, driver: openai, url: '${second.url}/v1', apiKey: k, model: gpt-image-2 }`,
        'cache: { enabled: false }',
      ].join('\n'),
    });
    const api = http(system.url);
    const socket = await connectSocket(system.url, { clientId: 'c' });
    const id = await post(api, textToImage(), { client_id: 'c' });
    await socket.waitForText('executing', isIdleAfter(id), 30_000);
    const item = await waitForEnd(api, id);
    expect((item as unknown as { tiercel: { served_by: { tier: string } } }).tiercel).toMatchObject(
      {
        served_by: { tier: 'api' },
      },
    );
    expect(valuesOf(socket, '3').length).toBeGreaterThan(2);
    expect(findStepsBack(socket)).toEqual([]);
    expect(valuesOf(socket, '3').at(-1)).toBe(8);
  }, 60_000);
});
