import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  connectSocket,
  findDeadUrl,
  http,
  startFakeComfyUi,
  startSystem,
  stopEverything,
  until,
  type RawHttp,
  type TestSystem,
} from '@tiercel/testkit';
import { isIdleAfter, tiersLine } from './comfyui-system.ts';
import { post, slow } from './prompts.ts';

/** ComfyUI's own frontend, shown at Tiercel's address, with a first server that is dead (issue 3). */

let system: TestSystem;
let api: RawHttp;

beforeAll(async () => {
  const alive = await startFakeComfyUi({ name: 'alive' });
  const proxy = 'api: { proxy: { customRoutes: [/customnode] } }\n';
  system = await startSystem({
    configYaml: `${tiersLine([await findDeadUrl(), alive.url])}${proxy}`,
  });
  api = http(system.url);
  await until(async () => (await api.get('/')).text.includes('ComfyUI alive'));
});
afterAll(stopEverything);

describe('a browser at Tiercel’s address', () => {
  test('gets the page, scripts and extensions of a server that is up', async () => {
    for (let turn = 0; turn < 4; turn += 1) {
      expect((await api.get('/')).text).toContain('<title>ComfyUI alive</title>');
    }
    expect((await api.get('/assets/index.js')).text).toContain('frontend of alive');
    for (const path of (await api.get('/extensions')).json() as unknown as string[]) {
      expect([path, (await api.get(path)).status]).toEqual([path, 200]);
    }
    expect((await api.post('/api/customnode/ping', 'x')).json()).toMatchObject({ body: 'x' });
    expect((await api.get('/secret')).status).toBe(404);
  });

  test('works against Tiercel’s queue, also with the paths below /api that the page uses', async () => {
    const socket = await connectSocket(system.url, { clientId: 'page' });
    const id = await post(api, slow(2, 0.01), { client_id: 'page' });
    await socket.waitForText('executing', isIdleAfter(id));
    const history = await api.get(`/api/history/${id}`);
    expect(history.text).toContain('"served_by"');
    expect((await api.get('/api/object_info/KSampler')).text).toContain('18446744073709551615');
  });
});
