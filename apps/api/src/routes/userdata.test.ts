import { readdir } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { UserStore } from '@tiercel/storage';
import { until } from '@tiercel/testkit';
import { makeDataFolder, serveRoutes, type TestServer } from '../http/serve-routes.test-helpers.ts';
import { createUserdataRoutes } from './userdata.ts';

let data: Awaited<ReturnType<typeof makeDataFolder>>;
let server: TestServer;
const get = (path: string) => server.send('GET', path);
const post = (path: string, body?: string) =>
  server.send('POST', path, body === undefined ? {} : { body });

beforeEach(async () => {
  data = await makeDataFolder();
  const user = new UserStore(data.path);
  server = await serveRoutes(
    createUserdataRoutes({ users: { of: () => user }, maxUploadBytes: 1000 }),
  );
});
afterEach(async () => {
  await server.close();
  await data.remove();
});

describe('a user file', () => {
  const path = '/userdata/workflows%2Fone.json';

  test('is stored, kept when asked, read, moved and deleted (wire 11.4 to 11.6)', async () => {
    const stored = await post(path, '{"k":1}');
    expect(stored.status).toBe(200);
    expect(stored.json()).toBe('workflows/one.json');
    const kept = await post(`${path}?overwrite=false`, '{"k":2}');
    expect(kept).toMatchObject({ status: 409, text: 'File already exists' });
    expect(kept.headers['content-type']).toBe('text/plain; charset=utf-8');
    const read = await get(`/api${path}`);
    expect(read).toMatchObject({ status: 200, text: '{"k":1}' });
    expect(read.headers['content-type']).toBe('application/json');
    const moved = await post(`${path}/move/workflows%2Ftwo.json`);
    expect(moved).toMatchObject({ status: 200, text: '"workflows/two.json"' });
    const removed = await server.send('DELETE', '/userdata/workflows%2Ftwo.json');
    expect(removed).toMatchObject({ status: 204, text: '' });
    const again = await server.send('DELETE', '/userdata/workflows%2Ftwo.json');
    expect(again).toMatchObject({ status: 404, text: '' });
    expect(await get(path)).toMatchObject({ status: 404, text: '' });
    expect((await post(`${path}/move/x.json`)).status).toBe(404);
  });

  test('is described in full when asked, with whole milliseconds', async () => {
    const info = (await post(`${path}?overwrite=undefined&full_info=true`, '{}')).json();
    expect(info).toMatchObject({ path: 'workflows/one.json', size: 2 });
    const { modified } = info as { modified: number };
    expect(Number.isInteger(modified)).toBe(true);
    expect(Math.abs(modified - Date.now())).toBeLessThan(10_000);
  });

  test('may be replaced, also by a body without a length', async () => {
    await post(path, 'old');
    const answer = await server.send('POST', path, {
      body: 'new',
      headers: { 'Transfer-Encoding': 'chunked' },
    });
    expect(answer.status).toBe(200);
    expect((await get(path)).text).toBe('new');
    await post(path);
    expect((await get(path)).text).toBe('');
  });

  test('may have a name that a client encoded twice, or a percent sign', async () => {
    await post('/userdata/workflows%252Ftwice.json', '1');
    expect((await get('/userdata/workflows%2Ftwice.json')).text).toBe('1');
    await post('/userdata/100%25.json', '2');
    expect((await get('/userdata/100%25.json')).text).toBe('2');
  });

  test('never runs in a browser; only user.css is a style sheet', async () => {
    await post('/userdata/x.html', '<script></script>');
    expect((await get('/userdata/x.html')).headers).toMatchObject({
      'content-type': 'application/octet-stream',
      'content-disposition': 'attachment',
      'x-content-type-options': 'nosniff',
    });
    await post('/userdata/user.css', 'body {}');
    expect((await get('/userdata/user.css')).headers).toMatchObject({
      'content-type': 'text/css',
      'content-disposition': 'inline',
    });
  });

  test.each([
    ['GET', '/userdata/..%2F..%2Fevil.json'],
    ['POST', '/userdata/..%2F..%2Fevil.json'],
    ['POST', '/userdata/%252e%252e%252fevil.json'],
    ['POST', '/userdata/%2Fetc%2Fpasswd'],
    ['DELETE', '/userdata/..%2Fx'],
    ['POST', '/userdata/a/move/..%2Fx'],
    ['POST', '/userdata/..%2Fx/move/a'],
    ['GET', '/userdata?dir=..%2F..'],
    ['GET', '/userdata?dir=..'],
  ])('outside the folder is refused: %s %s', async (method, target) => {
    const answer = await server.send(method, target);
    expect([answer.status, answer.json()]).toEqual([403, { error: 'path_refused' }]);
  });

  test('with a name that the system refuses is told so in the reason phrase too', async () => {
    const answer = await post(`/userdata/${'x'.repeat(300)}`, '{}');
    expect(answer).toMatchObject({ status: 400, reason: 'Invalid filename' });
    expect(answer.json()).toEqual({ error: 'bad_request' });
  });

  test.each([
    ['POST', '/userdata/.', 400],
    ['POST', '/userdata/%2E%2F', 400],
    ['POST', '/userdata/%252e', 400],
    ['POST', '/userdata/.?overwrite=false', 409],
    ['POST', '/userdata/w', 400],
    ['POST', '/userdata/w%2Fsub%2F', 400],
    ['POST', '/userdata/w?overwrite=false', 409],
    ['POST', '/userdata/w%2Fa.json%2Fx', 400],
    ['POST', '/userdata/w%2Fa.json/move/.', 400],
    ['POST', '/userdata/w%2Fa.json/move/%2E%2F?full_info=true', 400],
    ['POST', '/userdata/w%2Fa.json/move/w', 400],
    ['POST', '/userdata/w%2Fa.json/move/w%2Fsub', 400],
    ['POST', '/userdata/w%2Fa.json/move/w?overwrite=false', 409],
    ['POST', '/userdata/w%2Fa.json/move/w%2Fa.json%2Fx', 400],
    ['POST', '/userdata/w/move/x', 404],
    ['GET', '/userdata/.', 404],
    ['GET', '/userdata/w', 404],
    ['DELETE', '/userdata/.', 404],
    ['DELETE', '/userdata/w', 404],
    ['GET', '/userdata?dir=w%2Fa.json', 200],
    ['GET', '/userdata?dir=w%2Fa.json&recurse=true&full_info=true', 200],
    ['GET', '/userdata?dir=w%2Fa.json%2Fx', 404],
    ['GET', '/v2/userdata?path=w%2Fa.json', 400],
  ])('cannot be a folder, nor a folder a file: %s %s gets %i', async (method, target, status) => {
    await post('/userdata/w%2Fa.json', '1');
    await post('/userdata/w%2Fsub%2Fb.json', '2');
    const answer = await server.send(method, target, method === 'POST' ? { body: 'x' } : {});
    expect(answer.status).toBe(status);
    expect((await get('/userdata/w%2Fa.json')).text).toBe('1');
    expect((await get('/userdata?dir=w&recurse=true')).json()).toEqual(['a.json', 'sub/b.json']);
  });

  test.each([
    ['a NUL', 'a%00b', 403],
    ['a NUL encoded twice', 'a%2500b', 403],
    ['dots encoded thrice', '%25252e%25252e%25252fx', 403],
    ['more than 255 bytes', '%C3%A9'.repeat(130), 404],
    ['a path of over 4096 bytes', 'a%2F'.repeat(2500), 404],
    ['half an escape', 'a%25E0%25A4', 404],
  ])('with %s in its name is answered for', async (_what, name, status) => {
    await post('/userdata/w%2Fa.json', '1');
    expect((await get(`/userdata/${name}`)).status).toBe(status);
    expect((await server.send('DELETE', `/userdata/${name}`)).status).toBe(status);
    expect((await get(`/userdata?dir=${name}`)).status).toBe(status);
    expect((await get(`/v2/userdata?path=${name}`)).status).toBe(status === 403 ? 400 : status);
    for (const target of [`/userdata/${name}`, `/userdata/w%2Fa.json/move/${name}`]) {
      const stored = await post(target, 'x');
      expect([200, 400, 403]).toContain(stored.status);
    }
  });

  test('over the limit is refused, whether its length is told before or not', async () => {
    const body = 'x'.repeat(200_000);
    const declared = await post(path, body);
    const headers = { 'Transfer-Encoding': 'chunked' };
    const undeclared = await server.send('POST', path, { body, headers });
    for (const answer of [declared, undeclared]) {
      expect(answer.status).toBe(413);
      expect(answer.json()).toEqual({ error: 'body_too_large' });
    }
    expect((await get(path)).status).toBe(404);
  });

  test('is not stored when the client goes away', async () => {
    const work = join(data.path, 'user', 'default', '.tiercel-tmp');
    const call = request({ host: '127.0.0.1', port: server.port, method: 'POST', path });
    call.on('error', () => undefined);
    call.setHeader('Content-Length', 900);
    call.write('x'.repeat(500));
    await until(async () => (await readdir(work)).length > 0);
    call.destroy();
    await until(async () => (await readdir(work)).length === 0);
    expect((await get(path)).status).toBe(404);
  });
});

describe('a listing of user files', () => {
  test('is refused without a folder and 404 for one that is not there', async () => {
    expect(await get('/userdata')).toMatchObject({ status: 400, text: 'Directory not provided' });
    const missing = await get('/userdata?dir=workflows&recurse=true&split=false&full_info=true');
    expect(missing).toMatchObject({ status: 404, text: 'Directory not found' });
    expect(missing.headers['content-type']).toBe('text/plain; charset=utf-8');
  });

  test('has the form that is asked for, relative to its folder', async () => {
    await post('/userdata/w%2Fsub%2Fa.json', '{}');
    await post('/userdata/w%2Fb.json', '{}');
    expect((await get('/userdata?dir=w')).json()).toEqual(['b.json']);
    expect((await get('/userdata?dir=w&recurse=true')).json()).toEqual(['b.json', 'sub/a.json']);
    expect((await get('/userdata?dir=w&recurse=true&split=true')).json()).toEqual([
      ['b.json', 'b.json'],
      ['sub/a.json', 'sub', 'a.json'],
    ]);
    expect((await get('/userdata?dir=w&recurse=true&split=true&full_info=true')).json()).toEqual([
      { path: 'b.json', size: 2, modified: expect.any(Number), created: expect.any(Number) },
      { path: 'sub/a.json', size: 2, modified: expect.any(Number), created: expect.any(Number) },
    ]);
  });

  test('in its second version tells folders and files below the root', async () => {
    expect((await get('/v2/userdata')).json()).toEqual([]);
    await post('/userdata/w%2Fsub%2Fa.json', '{}');
    expect((await get('/v2/userdata?path=w')).json()).toEqual([
      { name: 'sub', path: 'w/sub', type: 'directory' },
      { name: 'a.json', path: 'w/sub/a.json', type: 'file', size: 2, modified: expect.any(Number) },
    ]);
    expect(await get('/v2/userdata?path=nope')).toMatchObject({
      status: 404,
      text: 'Requested path not found',
    });
    expect(await get('/v2/userdata?path=w%2Fsub%2Fa.json')).toMatchObject({
      status: 400,
      text: 'Requested path is not a directory',
    });
    expect((await get('/v2/userdata?path=..')).status).toBe(400);
  });
});
