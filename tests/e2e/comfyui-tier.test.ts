import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  connectSocket,
  stopEverything,
  until,
  type FakeComfyUi,
  type RawHttp,
  type TestSystem,
} from '@tiercel/testkit';
import { isForgotten, isIdleAfter, readUpstreamIds, startComfyUiSystem } from './comfyui-system.ts';
import { lastMessage, post, readHistory, saveImage, slow, waitForEnd } from './prompts.ts';

/** The life of a job on a ComfyUI server when nothing is wrong but the job (issue 3). */

let first: FakeComfyUi;
let system: TestSystem;
let api: RawHttp;

beforeAll(async () => {
  ({ first, system, api } = await startComfyUiSystem());
});
afterAll(stopEverything);

interface Data {
  readonly prompt_id?: string;
}

describe('a job on a ComfyUI server', () => {
  test('runs there, its frames come with our ids, its picture is ours under a fresh name', async () => {
    const socket = await connectSocket(system.url, {
      clientId: 'c',
      featureFlags: { supports_preview_metadata: true },
    });
    const id = await post(api, slow(4, 0.03), { client_id: 'c', prompt_id: 'not-a-uuid' });
    await socket.waitForText('executing', isIdleAfter(id));
    const types = socket
      .textFrames()
      .filter((f) => (f.data as Data).prompt_id === id)
      .map((f) => f.type);
    expect(types[0]).toBe('execution_start');
    expect(types.filter((type) => type === 'progress')).toHaveLength(4);
    expect(types.slice(-2)).toEqual(['execution_success', 'executing']);
    expect(socket.frames.filter((frame) => frame.kind === 'preview')).toHaveLength(4);
    const item = (await readHistory(api, id))!;
    const [image] = Object.values(item.outputs)[0]!.images;
    const view = await api.get(`/view?filename=${image!.filename}&type=${image!.type}`);
    expect([view.status, view.headers['content-type']]).toEqual([200, 'image/png']);
    const { prompts } = await first.state();
    expect(prompts).toHaveLength(1);
    expect(JSON.stringify(prompts)).toMatch(/[0-9a-f]{8}-[0-9a-f]{4}-4/);
    await until(() => isForgotten(first));
  });

  test('runs only the outputs that the caller asked for', async () => {
    const preview = { class_type: 'PreviewImage', inputs: { images: ['1', 0] } };
    const prompt = { ...saveImage(), '3': preview };
    const id = await post(api, prompt, { partial_execution_targets: ['2'] });
    expect(Object.keys((await waitForEnd(api, id)).outputs)).toEqual(['2']);
  });

  test('gives the server all of extra_data but what is Tiercel’s own, and the caller’s credentials', async () => {
    const extra = {
      ...{ preview_method: 'latent2rgb', my_pack: { seed: 2 ** 53 - 1, list: [1, null] } },
      ...{ extra_pnginfo: { workflow: { id: 'w' } }, api_key_comfy_org: 'key-of-the-caller' },
    };
    const own = { fallback: 'any', cache: false, client_id: 'inner' };
    const body = { prompt: saveImage(), client_id: 'outer', extra_data: { ...extra, ...own } };
    const answer = await fetch(`${system.url}/prompt`, {
      method: 'POST',
      headers: { 'Comfy-Usage-Source': 'my-script' },
      // Seeds have more digits than JavaScript numbers.
      body: JSON.stringify(body).replace(`${2 ** 53 - 1}`, '18446744073709551615'),
    });
    const { prompt_id: id } = (await answer.json()) as { prompt_id: string };
    await waitForEnd(api, id);
    const shown = (await api.get(`/history/${id}`)).text;
    expect(shown).toContain('"preview_method":"latent2rgb"');
    expect(shown).not.toContain('key-of-the-caller');
    const { extra_data: given, client_id: client } = (await first.state()).prompts.at(-1)!.body;
    expect(given).toEqual({
      ...extra,
      my_pack: { seed: 18446744073709551615n, list: [1, null] },
      comfy_usage_source: 'my-script',
      create_time: expect.any(Number),
    });
    expect(client).toMatch(/^tiercel-/);
  });

  test.each([
    ['a branch that is blocked with a message is told, and the job goes on', 'not today', 1],
    ['a branch that is blocked without one is not told', '', 0],
  ])('%s', async (_, message, received) => {
    const clientId = randomUUID();
    const socket = await connectSocket(system.url, { clientId });
    const prompt = {
      ...saveImage(),
      '3': { class_type: 'BlockBranch', inputs: { image: ['1', 0], message } },
      '4': { class_type: 'SaveImage', inputs: { images: ['3', 0], filename_prefix: 'never' } },
    };
    const id = await post(api, prompt, { client_id: clientId });
    await socket.waitForText('executing', isIdleAfter(id));
    const errors = socket.textFrames('execution_error').map(({ data }) => data);
    expect(errors).toHaveLength(received);
    for (const error of errors) {
      expect(error).toMatchObject({
        ...{ prompt_id: id, node_id: '4', node_type: 'SaveImage' },
        ...{
          exception_type: 'ExecutionBlocked',
          exception_message: `Execution Blocked: ${message}`,
        },
      });
    }
    expect(socket.textFrames('execution_success')).toHaveLength(1);
    const item = (await readHistory(api, id))!;
    expect([item.status.status_str, Object.keys(item.outputs)]).toEqual(['success', ['2']]);
    expect((await api.get(`/api/jobs/${id}`)).json()).toMatchObject({ status: 'completed' });
  });

  test('fails as it failed there, with node, type, message and traceback', async () => {
    const [type, data] = lastMessage(await waitForEnd(api, await post(api, slow(4, 0.01, 2))));
    expect(type).toBe('execution_error');
    expect(data).toMatchObject({
      node_id: '1',
      node_type: 'SlowPreview',
      exception_type: 'RuntimeError',
    });
    expect(data.traceback).not.toEqual([]);
    await until(() => isForgotten(first));
  });

  test.each([
    ['fails', 2],
    ['is interrupted', -1],
  ])('keeps what was shown and by which node when it %s', async (_, failAt) => {
    const prompt = {
      // In ComfyUI's order: an output whose inputs are there comes first.
      ...{ '1': saveImage()['1'], '2': saveImage()['2'] },
      '3': { class_type: 'SlowPreview', inputs: { steps: 400, delay: 0.02, fail_at: failAt } },
      '4': { class_type: 'PreviewImage', inputs: { images: ['3', 0] } },
    };
    const id = await post(api, prompt);
    if (failAt < 0) {
      await until(async () => {
        const [running = ''] = await readUpstreamIds(first);
        return (await first.state()).computedNodes[running]?.includes('3') === true;
      });
      await api.post('/interrupt', { prompt_id: id });
    }
    const item = await waitForEnd(api, id);
    expect(item.status.status_str).toBe('error');
    expect(Object.keys(item.outputs)).toEqual(['2']);
    expect(item.meta).toEqual({
      '2': { node_id: '2', display_node: '2', parent_node: null, real_node_id: '2' },
    });
  });
});
