import { createServer, type RequestListener, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { http, startFakeComfyUi, stopEverything, until, type FakeComfyUi } from '@tiercel/testkit';
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

/** A server of the pool that does what the test says. */
async function serve(listener: RequestListener): Promise<string> {
  const server: Server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  open.push(
    () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  );
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`; // not a pipe
}

/** An address where nobody listens. */
async function findDeadUrl(): Promise<string> {
  const url = await serve(() => undefined);
  await open.pop()?.();
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
    const heard: string[] = [];
    const socket = connect(Number(new URL(app.url).port), '127.0.0.1');
    socket.on('data', (piece: Buffer) => heard.push(piece.toString()));
    socket.write('POST /customnode/s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n');
    socket.write('1\r\na\r\n');
    await until(() => heard.join('').includes('got a'));
    expect(heard.join('')).not.toContain(' end');
    socket.write('1\r\nb\r\n0\r\n\r\n');
    await until(() => heard.join('').includes(' end'));
    expect(heard.join('')).toContain('got b');
    socket.destroy();
  });
});

describe('with several servers', () => {
  test('they take turns', async () => {
    const app = await start([first.url, second.url]);
    const served: unknown[] = [];
    for (let turn = 0; turn < 4; turn += 1) served.push(serverOf(await app.get('/')));
    expect(served).toEqual(['one', 'two', 'one', 'two']);
  });

  test('one that is dead is passed over, also by a request with a body', async () => {
    const app = await start([await findDeadUrl(), second.url]);
    for (let turn = 0; turn < 3; turn += 1) {
      expect((await app.get('/')).text).toContain('ComfyUI two');
    }
    const again = await start([await findDeadUrl(), second.url]);
    const posted = await again.post('/customnode/ping', 'hello');
    expect(posted.json()).toMatchObject({ pong: 'two', body: 'hello' });
  });

  test('one that breaks off before its answer is passed over by a GET; a POST is not repeated', async () => {
    let asked = 0;
    const broken = await serve((req) => {
      asked += 1;
      req.socket.destroy();
    });
    const app = await start([broken, second.url]);
    expect((await app.get('/')).text).toContain('ComfyUI two');
    const other = await start([broken, second.url]);
    expect((await other.post('/customnode/ping', 'x')).status).toBe(502);
    expect(asked).toBe(2);
    expect((await second.state()).requests['POST /customnode/ping'] ?? 0).toBe(1);
  });

  test('each file comes from a server that has it', async () => {
    const app = await start([first.url, second.url]);
    for (let turn = 0; turn < 3; turn += 1) {
      expect(serverOf(await app.get('/extensions/only-two/y.js'))).toBe('two');
      expect(serverOf(await app.get('/extensions/fake/x.js'))).toBe('one');
    }
  });

  test('one that is not healthy is never asked', async () => {
    const unhealthy = { tier: 'gpu', url: first.url, healthy: false };
    const app = await start([unhealthy, second.url]);
    for (let turn = 0; turn < 3; turn += 1) expect(serverOf(await app.get('/'))).toBe('two');
    const none = await start([unhealthy]);
    expect((await none.get('/')).text).toContain('<title>Tiercel</title>');
  });
});

describe('without a server', () => {
  test('GET / is the landing page, templates are none, all else is a 404', async () => {
    const app = await start([]);
    const page = await app.get('/');
    expect(page.text).toContain('<title>Tiercel</title>');
    expect(page.headers['x-content-type-options']).toBe('nosniff');
    expect((await app.get('/templates/index.json')).json()).toEqual([]);
    for (const target of ['/assets/index.js', '/customnode/ping', '/templates/a.json']) {
      expect(await app.get(target)).toMatchObject({ status: 404, text: '' });
    }
  });

  test('when all are dead, GET / is the landing page and the rest says 502', async () => {
    const app = await start([await findDeadUrl()]);
    expect((await app.get('/')).text).toContain('<title>Tiercel</title>');
    expect((await app.get('/templates/index.json')).json()).toEqual([]);
    expect(await app.get('/assets/index.js')).toMatchObject({ status: 502, text: '' });
  });

  test('another machine’s loopback address is none, nor is what speaks no HTTP', async () => {
    const app = await start([first.url], { host: 'another-machine' });
    expect((await app.get('/')).text).toContain('<title>Tiercel</title>');
    const odd = await start(['file:///etc/', 'nonsense']);
    expect((await odd.get('/assets/passwd')).status).toBe(404);
  });

  test('a pool whose server is this process does not go round for ever', async () => {
    let hops = 0;
    let self = '';
    const mirror = await serve((req, res) => {
      hops += 1;
      void fetch(`${self}${req.url ?? ''}`, { headers: { via: req.headers.via ?? '' } }).then(
        (answer) => {
          res.statusCode = answer.status;
          res.end();
        },
      );
    });
    const looped = await start([mirror]);
    self = looped.url;
    expect((await looped.get('/assets/x.js')).status).toBe(404);
    expect(hops).toBe(1);
  });
});

describe('time limits', () => {
  test('a server that never answers ends in 504, and is asked last from then on', async () => {
    await first.hangRoute('GET /', 1);
    const app = await start([first.url, second.url], { timeoutMs: 300 });
    expect(await app.get('/assets/index.js')).toMatchObject({ status: 504, text: '' });
    for (let turn = 0; turn < 3; turn += 1) {
      expect(serverOf(await app.get('/assets/index.js'))).toBe('two');
    }
  });

  test('a slow body is not a slow answer', async () => {
    const app = await start([first.url], { timeoutMs: 400 });
    const pieces = (async function* () {
      for (let piece = 0; piece < 5; piece += 1) {
        await sleep(150);
        yield Buffer.from('x');
      }
    })();
    const body = ReadableStream.from(pieces);
    const init = { method: 'POST', body, duplex: 'half' } as RequestInit; // Node's own member
    const answer = await fetch(`${app.url}/customnode/ping`, init);
    expect(await answer.json()).toMatchObject({ body: 'xxxxx' });
  });

  test('an answer that stops half-way is cut, not ended', async () => {
    const url = await serve((_req, res) => {
      res.writeHead(200, { 'content-length': 10 });
      res.write('half');
    });
    const app = await start([url], { timeoutMs: 300 });
    await expect(app.get('/assets/x.js')).rejects.toThrow();
  });

  test('a server is let go when the caller leaves', async () => {
    let isClosed = false;
    const url = await serve((req, res) => {
      res.on('close', () => {
        isClosed = true;
      });
      req.resume();
    });
    const app = await start([url]);
    const caller = new AbortController();
    const asked = fetch(`${app.url}/assets/x.js`, { signal: caller.signal });
    await sleep(100);
    caller.abort();
    await expect(asked).rejects.toThrow();
    await until(() => isClosed);
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
