import type { RequestListener } from 'node:http';
import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import {
  http,
  serveHttp,
  startFakeComfyUi,
  stopEverything,
  until,
  type FakeComfyUi,
} from '@tiercel/testkit';
import { startProxyApp, type ProxyApp, type ProxyAppOptions } from './proxy.test-app.ts';

let first: FakeComfyUi;
let second: FakeComfyUi;
const open: (() => Promise<void>)[] = [];

beforeAll(async () => {
  [first, second] = await Promise.all([
    startFakeComfyUi({ name: 'one' }),
    startFakeComfyUi({ name: 'two', extensions: ['/extensions/only-two/y.js'] }),
  ]);
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((close) => close()));
  await Promise.all([first.reset(), second.reset()]);
});
afterAll(() => stopEverything());

type ServerList = Parameters<typeof startProxyApp>[0];

async function start(servers: ServerList, options: ProxyAppOptions = {}) {
  const app: ProxyApp = await startProxyApp(servers, options);
  open.push(() => app.close());
  return { ...http(app.url), url: app.url };
}

async function serve(listener: RequestListener): Promise<string> {
  const { url, close } = await serveHttp(listener);
  open.push(close);
  return url;
}

const serverOf = (answer: { headers: NodeJS.Dict<string | string[]> }) =>
  answer.headers['x-fake-comfyui'];

describe('with a server in the pool', () => {
  test('GET / is its frontend, whose files and extensions are there too', async () => {
    const app = await start([first.url]);
    const page = await app.get('/');
    expect(page.status).toBe(200);
    expect(page.text).toContain('<title>ComfyUI one</title>');
    expect(page.headers['content-type']).toBe('text/html');
    expect(page.headers['cache-control']).toBe('no-cache');
    expect(page.headers['x-content-type-options']).toBeUndefined();
    const script = await app.get('/assets/index.js');
    expect([script.status, script.text]).toEqual([200, `console.log('frontend of one');`]);
    const extension = await app.get('/extensions/fake/x.js?v=1');
    expect(extension.headers['content-type']).toBe('text/javascript');
    expect(extension.text).toContain('/extensions/fake/x.js of one');
    expect((await app.get('/docs/KSampler.md')).text).toBe('# Written by one');
    const head = await app.request('HEAD', '/assets/index.js');
    expect([head.status, head.text]).toEqual([200, '']);
    expect(head.headers['content-length']).toBe(script.headers['content-length']);
  });

  test('Tiercel’s own routes stay its own, in every spelling', async () => {
    const app = await start([first.url], { paths: ['/**'], methods: ['GET', 'POST'] });
    expect((await app.get('/extensions')).json()).toEqual(['/extensions/fake/x.js']);
    expect((await app.get('/user.css')).status).toBe(404);
    expect((await app.get('/api/assets/x')).status).toBe(503);
    expect((await app.post('/extensions', '{}')).status).toBe(405);
    const before = await first.state();
    for (const target of ['/features/', '/Features', '/%66eatures', '/api/api/features', '//']) {
      expect([target, (await app.get(target)).status]).toEqual([target, 404]);
    }
    expect((await app.post('/free/', '{}')).status).toBe(404);
    const after = await first.state();
    expect([after.requests, after.frees]).toEqual([before.requests, []]);
  });

  test('its own template list is shown in place of Tiercel’s empty one', async () => {
    const url = await serve((req, res) => res.end(`templates of ${req.url ?? ''}`));
    const app = await start([url]);
    expect((await app.get('/templates/index.fr.json')).text).toBe(
      'templates of /templates/index.fr.json',
    );
    expect((await app.get('/templates/a/b.webp')).text).toBe('templates of /templates/a/b.webp');
  });

  test('what is not on the list is a 404 that no server hears of', async () => {
    const app = await start([first.url]);
    const before = (await first.state()).requests;
    const targets = ['/other/ping', '/assets/../customnode/ping', '/assets/%2e%2e/system_stats'];
    for (const target of [...targets, '/assets/..%2fsystem_stats', '/assets/%252e%252e/queue']) {
      expect(await app.get(target)).toMatchObject({ status: 404, text: '' });
    }
    expect((await app.post('/assets/index.js', '{}')).status).toBe(404);
    expect((await first.state()).requests).toEqual(before);
  });

  test('a missing file is Tiercel’s own 404', async () => {
    const app = await start([first.url]);
    const answer = await app.get('/extensions/none/x.js');
    expect(answer).toMatchObject({ status: 404, text: '' });
    expect(serverOf(answer)).toBeUndefined();
  });
});

describe('a custom node’s route', () => {
  test('takes any method, a query and a body, with and without /api', async () => {
    const app = await start([first.url]);
    const ping = { pong: 'one', method: 'GET', query: { a: 'b c' }, body: '' };
    expect((await app.get('/customnode/ping?a=b%20c')).json()).toEqual(ping);
    const posted = await app.post('/api/customnode/ping', '{"n":18446744073709551615}');
    expect(posted.json()).toMatchObject({ method: 'POST', body: '{"n":18446744073709551615}' });
    expect((await app.request('DELETE', '/customnode/ping')).status).toBe(405);
    expect(serverOf(await app.get('/customnode/none'))).toBe('one');
  });

  test('is not proxied unless it is listed', async () => {
    const app = await start([first.url], { customRoutes: [] });
    expect((await app.get('/customnode/ping')).status).toBe(404);
    expect((await app.post('/customnode/ping', '{}')).status).toBe(404);
  });

  test('refuses a body over the limit, declared or not', async () => {
    const app = await start([first.url], { maxBodyBytes: 100 });
    expect((await app.post('/customnode/ping', 'x'.repeat(100))).status).toBe(200);
    const declared = await app.post('/customnode/ping', 'x'.repeat(101));
    expect(declared.status).toBe(413);
    expect(declared.json()).toMatchObject({ error: { type: 'body_too_large' } });
    const chunked = await fetch(`${app.url}/customnode/ping`, {
      method: 'POST',
      body: new Blob(['x'.repeat(60), 'x'.repeat(60)]).stream(),
      duplex: 'half',
    });
    expect(chunked.status).toBe(413);
  });

  test('streams both ways: bytes pass before either side has ended', async () => {
    const url = await serve((req, res) => {
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      req.on('data', (piece: Buffer) => res.write(`got ${piece.toString()}`));
      req.on('end', () => res.end(' end'));
    });
    const app = await start([url]);
    const received: string[] = [];
    const socket = connect(Number(new URL(app.url).port), '127.0.0.1');
    socket.on('data', (piece: Buffer) => received.push(piece.toString()));
    socket.write(
      'POST /customnode/s HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n',
    );
    socket.write('1\r\na\r\n');
    await until(() => received.join('').includes('got a'));
    expect(received.join('')).not.toContain(' end');
    socket.write('1\r\nb\r\n0\r\n\r\n');
    await until(() => received.join('').includes(' end'));
    expect(received.join('')).toContain('got b');
    socket.destroy();
  });
});

describe('headers', () => {
  test('credentials, origin and hop-by-hop headers stay here; the rest goes on', async () => {
    const url = await serve((req, res) => res.end(JSON.stringify(req.headers)));
    const app = await start([url], { corsOrigin: '*' });
    const sent = {
      ...{ cookie: 'a=b', authorization: 'Bearer x', origin: 'http://elsewhere', te: 'trailers' },
      ...{ 'proxy-authorization': 'Basic x', 'keep-alive': 'timeout=5', 'x-hop': '1' },
      ...{ connection: 'keep-alive, X-Hop', 'comfy-user': 'me', range: 'bytes=0-', accept: 'a/b' },
      ...{ 'sec-fetch-site': 'cross-site' },
    };
    const answer = await app.get('/assets/x.js', { headers: sent });
    expect(answer.json()).toEqual({
      ...{ host: new URL(url).host, connection: 'close', via: expect.stringMatching(/^1\.1 /) },
      ...{ 'comfy-user': 'me', range: 'bytes=0-', accept: 'a/b' },
    });
  });

  test('an answer keeps its own, but for cookies, other sites’ rights and the server’s address', async () => {
    let own = '';
    const url = await serve((_req, res) => {
      res.writeHead(302, {
        ...{ 'set-cookie': 'a=b', 'access-control-allow-origin': '*', 'x-hop': '1' },
        ...{ connection: 'close, x-hop', 'cache-control': 'no-store', etag: '"1"', vary: 'x' },
        ...{ 'x-content-type-options': 'nosniff', location: `${own}/assets/y.js?z` },
      });
      res.end();
    });
    own = url;
    const app = await start([url], { corsOrigin: 'http://mine' });
    const { status, headers } = await app.get('/assets/x.js');
    expect(status).toBe(302);
    expect(headers).toMatchObject({
      ...{ 'cache-control': 'no-store', etag: '"1"', vary: 'x' },
      ...{ 'x-content-type-options': 'nosniff', location: '/assets/y.js?z' },
      'access-control-allow-origin': 'http://mine',
    });
    expect(headers['set-cookie']).toBeUndefined();
    expect(headers['x-hop']).toBeUndefined();
  });

  test('a redirect to elsewhere is the caller’s to follow, never the API’s', async () => {
    let visits = 0;
    const elsewhere = await serve((_req, res) => {
      visits += 1;
      res.end('secret');
    });
    const url = await serve((_req, res) => {
      res.writeHead(307, { location: `${elsewhere}/x` }).end();
    });
    const app = await start([url]);
    const answer = await app.get('/assets/x.js');
    expect([answer.status, answer.headers.location, visits]).toEqual([307, `${elsewhere}/x`, 0]);
  });

  test('a page of another site may use no custom route', async () => {
    const app = await start([first.url]);
    const headers = { origin: 'http://evil.example' };
    expect((await app.post('/customnode/ping', '{}', { headers })).status).toBe(403);
    expect(
      (await app.post('/customnode/ping', '{}', { headers: { origin: app.url } })).status,
    ).toBe(200);
  });
});
