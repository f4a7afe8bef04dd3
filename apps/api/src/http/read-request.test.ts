import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { sendJson } from './answer.ts';
import { readIntegerQuery, readJsonBody, readParam, readQuery } from './read-request.ts';
import { serveRoutes, type TestServer } from './serve-routes.test-helpers.ts';

let server: TestServer;

beforeAll(async () => {
  server = await serveRoutes([
    {
      method: 'GET',
      path: '/query/:name',
      handle: (req, res) => {
        const query = [...readQuery(req)];
        sendJson(res, { name: readParam(req, 'name'), query, n: readIntegerQuery(req, 'n') });
      },
    },
    {
      method: 'POST',
      path: '/must',
      body: 'text',
      handle: (req, res) => {
        sendJson(res, readJsonBody(req));
      },
    },
    {
      method: 'POST',
      path: '/may',
      body: 'text',
      handle: (req, res) => {
        sendJson(res, readJsonBody(req, { nothing: true }));
      },
    },
  ]);
});
afterAll(() => server.close());

test('a query is read as ComfyUI’s server reads it: brackets and repetitions mean nothing more', async () => {
  const answer = await server.send(
    'GET',
    '/query/a%2Fb%20c?a[]=1&a[]=2&b=x%20y+z&c&d=%C3%BC?&e=%zz',
  );
  expect(answer.json()).toEqual({
    name: 'a/b c',
    query: [
      ...[
        ['a[]', '1'],
        ['a[]', '2'],
        ['b', 'x y z'],
        ['c', ''],
        ['d', 'ü?'],
        ['e', '%zz'],
      ],
    ],
  });
});

test.each([
  ['n=7', 7],
  ['n=-7', -7],
  ['n=%20%2B7%20', 7],
  ['n=7&n=8', 7],
  ['n=9999999999999999999999', 1e12],
  ['n=-9999999999999999999999', -1e12],
])('%s is a whole number', async (query, n) => {
  expect((await server.send('GET', `/query/x?${query}`)).json()).toMatchObject({ n });
});

test.each(['n=', 'n=x', 'n=1.5', 'n=1e3', 'n=0x10', 'n=7+8'])(
  '%s is refused by its name',
  async (query) => {
    const answer = await server.send('GET', `/query/x?${query}`);
    expect(answer.status).toBe(400);
    expect(decodeURIComponent(String(answer.headers['x-message']))).toContain('parameter n must');
  },
);

test('a JSON body is read whatever its type says; an empty one only where it means something', async () => {
  const headers = { 'content-type': 'image/png' };
  expect((await server.send('POST', '/must', { body: '[1]', headers })).json()).toEqual([1]);
  expect((await server.send('POST', '/may')).json()).toEqual({ nothing: true });
  for (const body of ['', '{', 'undefined']) {
    const answer = await server.send('POST', '/must', { body });
    expect([answer.status, answer.json()]).toEqual([400, { error: 'bad_json' }]);
  }
});
