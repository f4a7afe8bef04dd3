import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { UserStore } from '@tiercel/storage';
import { makeDataFolder, serveRoutes, type TestServer } from '../http/serve-routes.test-helpers.ts';
import { createSettingsRoutes } from './settings.ts';
import { createUserdataRoutes } from './userdata.ts';

const data = await makeDataFolder();
let server: TestServer;
const get = (path: string) => server.send('GET', path);
const post = (path: string, body: string) => server.send('POST', path, { body });

beforeAll(async () => {
  const user = new UserStore(data.path);
  server = await serveRoutes([
    ...createSettingsRoutes({ users: { of: () => user } }),
    ...createUserdataRoutes({ users: { of: () => user }, maxUploadBytes: 1000 }),
  ]);
});
afterAll(async () => {
  await server.close();
  await data.remove();
});

describe('settings', () => {
  test('belong to a single user, who is new until something is stored', async () => {
    expect((await get('/users')).json()).toEqual({ storage: 'server', migrated: false });
    await post('/settings/Comfy.X', 'true');
    expect((await get('/users')).json()).toEqual({ storage: 'server', migrated: true });
  });

  test('are set one by one or merged (wire 11.2)', async () => {
    const set = await post('/api/settings/Comfy.X', 'true');
    expect(set).toMatchObject({ status: 200, text: '' });
    expect((await get('/settings/Comfy.X')).text).toBe('true');
    expect(await post('/settings', '{"a":1,"b":"two"}')).toMatchObject({ status: 200, text: '' });
    const all = await get('/settings');
    expect(all.json()).toEqual({ 'Comfy.X': true, a: 1, b: 'two' });
    expect(all.headers['content-type']).toBe('application/json; charset=utf-8');
    expect((await get('/settings/Comfy.Y')).text).toBe('null');
    expect((await get('/settings/__proto__')).text).toBe('null');
  });

  test('hold any JSON under any name, 64-bit numbers too', async () => {
    await post('/settings/Comfy.Installed%2FVersion', '"1.49.0"');
    expect((await get('/settings/Comfy.Installed%2FVersion')).text).toBe('"1.49.0"');
    await post('/settings/n', '18446744073709551615');
    expect((await get('/settings/n')).text).toBe('18446744073709551615');
    await post('/settings/n', 'null');
    expect((await get('/settings')).json()).toHaveProperty('n', null);
  });

  test('are taken away by an empty body, which is how undefined arrives', async () => {
    await post('/settings/gone', '1');
    expect((await post('/settings/gone', '')).status).toBe(200);
    expect((await get('/settings')).json()).not.toHaveProperty('gone');
  });

  test('are refused when they are not JSON, or no object where one is due', async () => {
    expect((await post('/settings/x', '{')).json()).toEqual({ error: 'bad_json' });
    for (const body of ['[]', '1', 'null', '']) {
      expect((await post('/settings', body)).status).toBe(400);
    }
  });

  test('whose file cannot be read are none, and the next change keeps that file', async () => {
    const file = '/userdata/comfy.settings.json';
    for (const [broken, kept] of [
      ['{"mine": 1,', `${file}.unreadable`],
      ['[1]', `${file}.unreadable-2`],
    ] as const) {
      await post(file, broken);
      expect(await get('/settings')).toMatchObject({ status: 200, text: '{}' });
      expect((await get('/settings/mine')).text).toBe('null');
      expect((await post('/settings', '{"b":2}')).status).toBe(200);
      expect((await get('/settings')).text).toBe('{"b":2}');
      expect((await get(kept)).text).toBe(broken);
    }
  });

  test('outlive user files that have the names of their file and of its lock', async () => {
    await server.send('DELETE', '/userdata/comfy.settings.json');
    expect((await post('/userdata/comfy.settings.json%2Fx', '1')).status).toBe(200);
    expect((await post('/userdata/comfy.settings.json.lock%2Fx', '1')).status).toBe(200);
    expect(await get('/settings')).toMatchObject({ status: 200, text: '{}' });
    expect((await post('/settings/a', '1')).status).toBe(200);
    expect((await get('/settings')).text).toBe('{"a":1}');
    expect((await get('/userdata/comfy.settings.json.lock%2Fx')).text).toBe('1');
  });

  test('written by many requests at once are all kept', async () => {
    const names = Array.from({ length: 50 }, (_, i) => `many.${i}`);
    await Promise.all(names.map((name) => post(`/settings/${name}`, '1')));
    expect(Object.keys((await get('/settings')).json() as object)).toEqual(
      expect.arrayContaining(names),
    );
  });
});
