import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  connectSocket,
  stopEverything,
  until,
  type FakeComfyUi,
  type RawHttp,
  type TestSystem,
} from '@tiercel/testkit';
import { isForgotten, isIdleAfter, startComfyUiSystem } from './comfyui-system.ts';
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
});
