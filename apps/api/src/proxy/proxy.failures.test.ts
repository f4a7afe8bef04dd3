import type { RequestListener } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import {
  findDeadUrl,
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
    expect(await app.get('/assets/index.js')).toMatchObject({ status: 502 });
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
    expect(await app.get('/assets/index.js')).toMatchObject({ status: 504 });
    for (let turn = 0; turn < 3; turn += 1) {
      expect(serverOf(await app.get('/assets/index.js'))).toBe('two');
    }
  });

  test('a slow body is not a slow answer', async () => {
    let arrive: () => void = () => undefined;
    const url = await serve((req, res) => {
      let text = '';
      req.on('data', (piece: Buffer) => {
        text += piece.toString();
        arrive();
      });
      req.on('end', () => res.end(text));
    });
    const app = await start([url], { timeoutMs: 400 });
    const pieces = (async function* () {
      for (let piece = 0; piece < 5; piece += 1) {
        const arrived = new Promise<void>((resolve) => (arrive = resolve));
        yield Buffer.from('x');
        await arrived;
        jest.advanceTimersByTime(399);
      }
    })();
    const body = ReadableStream.from(pieces);
    const init = { method: 'POST', body, duplex: 'half' } as RequestInit; // Node's own member
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] });
    try {
      const answer = await fetch(`${app.url}/customnode/ping`, init);
      expect(await answer.text()).toBe('xxxxx');
    } finally {
      jest.useRealTimers();
    }
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
    let reach: () => void = () => undefined;
    const reached = new Promise<void>((resolve) => (reach = resolve));
    const url = await serve((req, res) => {
      res.on('close', () => {
        isClosed = true;
      });
      req.resume();
      reach();
    });
    const app = await start([url]);
    const caller = new AbortController();
    const asked = fetch(`${app.url}/assets/x.js`, { signal: caller.signal });
    await reached;
    caller.abort();
    await expect(asked).rejects.toThrow();
    await until(() => isClosed);
  });
});
