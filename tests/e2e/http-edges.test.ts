import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  connectRaw,
  connectSocket,
  http,
  startApi,
  startSystem,
  stopEverything,
  until,
  type RawHttp,
  type SpawnedProcess,
  type TestSystem,
} from '@tiercel/testkit';
import { post, saveImage, waitForEnd } from './prompts.ts';

/** Where HTTP ends and strangers begin: upgrades, hosts and origins, bodies of every form, refusals that arrive. */

const MAX_BYTES = 300_000;
let system: TestSystem;
let api: RawHttp;

beforeAll(async () => {
  system = await startSystem({
    configYaml: `api: { maxBodyBytes: ${MAX_BYTES}, maxUploadBytes: ${MAX_BYTES}, maxSockets: 3 }\n`,
  });
  api = http(system.url);
});
afterAll(stopEverything);

const hostOf = (url: string) => new URL(url).host;
const codeOf = (text: string) => (JSON.parse(text) as { error: { type: string } }).error.type;

function handshake(url: string, path: string, headers = ''): string {
  return (
    `GET ${path} HTTP/1.1\r\nHost: ${hostOf(url)}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
    `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n${headers}\r\n`
  );
}

function countDescriptors(process: SpawnedProcess): number {
  return readdirSync(`/proc/${process.pid}/fd`).length;
}

describe('WebSockets that are refused', () => {
  const evil = 'Origin: http://evil.example\r\n';
  const kinds: [string, (url: string) => string, string, number][] = [
    ['another origin', (url) => handshake(url, '/ws', evil), '', 403],
    ['another origin, and a byte behind it', (url) => handshake(url, '/ws', evil), 'x', 403],
    ['no origin', (url) => handshake(url, '/ws', 'Origin: null\r\n'), 'x', 403],
    ['another name', (url) => handshake(url, '/ws').replace(hostOf(url), 'localtest.me'), 'x', 403],
    [
      'another path, and much behind it',
      (url) => handshake(url, '/nope'),
      'x'.repeat(200_000),
      404,
    ],
    [
      'a key that is none',
      (url) => handshake(url, '/ws').replace(/Key: .*\r/, 'Key: abc\r'),
      'x',
      400,
    ],
    [
      'an unknown version',
      (url) => handshake(url, '/ws').replace('Version: 13', 'Version: 7'),
      'x',
      400,
    ],
    [
      'a subprotocol that is none',
      (url) => handshake(url, '/ws', 'Sec-WebSocket-Protocol: ,,\r\n'),
      'x',
      400,
    ],
  ];

  test('keep no descriptor, whatever follows them, and do not keep the API from stopping', async () => {
    const process = await startApi(system.options);
    const before = countDescriptors(process);
    for (const [what, request, tail, status] of kinds) {
      for (let round = 0; round < 5; round += 1) {
        const answers = await Promise.all(
          Array.from({ length: 10 }, async (_, index) => {
            const connection = await connectRaw(process.url);
            connection.send(request(process.url));
            if (index % 2 === 1) await until(() => connection.text !== '');
            if (tail !== '') connection.send(tail);
            return await connection.closed;
          }),
        );
        for (const answer of answers) {
          expect([what, answer.slice(0, 12)]).toEqual([what, `HTTP/1.1 ${status}`]);
          if (status !== 404) expect(codeOf(answer.split('\r\n\r\n')[1] ?? '')).toBeTruthy();
        }
      }
    }
    await until(() => countDescriptors(process) <= before);
    // Peers that neither read nor close.
    for (let n = 0; n < 20; n += 1) {
      const stuck = await connectRaw(process.url, { allowHalfOpen: true });
      stuck.send(handshake(process.url, '/ws', evil));
      stuck.socket.pause();
    }
    expect(await process.stop()).toBe(0);
  });

  test('for want of room are told to come back, with a body', async () => {
    const sockets = await Promise.all([1, 2, 3].map(() => connectSocket(system.url)));
    const connection = await connectRaw(system.url);
    connection.send(handshake(system.url, '/api/ws'));
    const answer = await connection.closed;
    expect(answer).toMatch(/^HTTP\/1\.1 503 [\s\S]*Retry-After: 5/);
    expect(codeOf(answer.split('\r\n\r\n')[1] ?? '')).toBe('too_many_sockets');
    await Promise.all(sockets.map((socket) => socket.close()));
  });

  test('and a page that asks for one without a handshake is told what it is', async () => {
    const answer = await api.get('/ws');
    expect([answer.status, codeOf(answer.text)]).toEqual([426, 'upgrade_required']);
  });
});

describe('a client that offers HTTP/2 by an upgrade', () => {
  test('runs a job as any other', async () => {
    const offer = {
      upgrade: 'h2c',
      connection: 'Upgrade, HTTP2-Settings',
      'http2-settings': 'AAMAAABk',
    };
    const answer = await api.post('/prompt', { prompt: saveImage('h2c') }, { headers: offer });
    expect(answer.status).toBe(200);
    const { prompt_id: id } = answer.json() as { prompt_id: string };
    await waitForEnd(api, id);
    const history = await api.get(`/history/${id}`, { headers: offer });
    expect(history.text).toContain('h2c_00001_.png');
  });
});

describe('a page of another site', () => {
  const WRITES: [string, string, string][] = [
    ['POST', '/prompt', JSON.stringify({ prompt: saveImage('evil') })],
    ['POST', '/api/queue', '{"clear":true}'],
    ['POST', '/history', '{"clear":true}'],
    ['POST', '/interrupt', '{}'],
    ['POST', '/free', '{}'],
    ['POST', '/upload/image', 'x'],
    ['POST', '/settings', '{"a":1}'],
    ['POST', '/userdata/evil.json', '{}'],
    ['DELETE', '/userdata/kept.json', ''],
    ['POST', '/api/jobs/cancel', '{"job_ids":[]}'],
    ['POST', '/no/such/route', 'x'],
  ];
  const CALLERS: [string, Record<string, string>][] = [
    [
      'that a name of its own leads here',
      { host: 'rebound.example', origin: 'http://rebound.example' },
    ],
    ['that a public name leads here', { host: 'localtest.me:8188', origin: 'http://evil.example' }],
    ['that sends a form', { origin: 'http://evil.example', 'content-type': 'text/plain' }],
    ['that is in a sandbox', { origin: 'null', 'content-type': 'text/plain' }],
    ['that a browser calls a sister', { 'sec-fetch-site': 'same-site' }],
  ];

  test.each(CALLERS)('%s can change nothing and open no socket', async (_, headers) => {
    const ended = await post(api, saveImage('kept'));
    await waitForEnd(api, ended);
    await api.post('/userdata/kept.json', '{}');
    for (const [method, path, body] of WRITES) {
      const answer = await api.request(method, path, body, { headers });
      expect([path, answer.status]).toEqual([path, 403]);
      expect(codeOf(answer.text)).toMatch(/^(host|origin)_refused$/);
    }
    await expect(connectSocket(system.url, { headers })).rejects.toThrow(/403/);
    expect((await api.get(`/history/${ended}`)).text).toContain('kept_');
    expect((await api.get('/userdata/kept.json')).status).toBe(200);
    expect((await api.get('/userdata/evil.json')).status).toBe(404);
  });

  test('one that is served here can do both', async () => {
    for (const host of [hostOf(system.url), `localhost:${new URL(system.url).port}`]) {
      const headers = { host, origin: `http://${host}`, 'sec-fetch-site': 'same-origin' };
      const answer = await api.post('/prompt', { prompt: saveImage('own') }, { headers });
      expect(answer.status).toBe(200);
      await (await connectSocket(system.url, { headers })).close();
    }
  });

  test('is let in by the two settings, and by nothing else', async () => {
    const { redisUrl, redisPrefix = '', dataDir } = system.options;
    const configYaml = 'api: { allowedHosts: [pics.example], corsOrigin: https://pages.example }\n';
    const open = await startApi({ redisUrl, redisPrefix, dataDir, configYaml });
    const client = http(open.url);
    const proxied = { host: 'pics.example', origin: 'https://pics.example' };
    const foreign = { origin: 'https://pages.example', 'sec-fetch-site': 'cross-site' };
    for (const headers of [proxied, foreign]) {
      expect((await client.post('/queue', '{}', { headers })).status).toBe(200);
      await (await connectSocket(open.url, { headers })).close();
    }
    const other = { headers: { host: 'x.example' } };
    const refused = await client.get('/queue', other);
    expect([refused.status, codeOf(refused.text)]).toEqual([403, 'host_refused']);
    expect(refused.text).toContain('api.allowedHosts');
    await open.stop();
  });
});

describe('a body over the limit', () => {
  const big = Buffer.alloc(4_000_000, 120);
  const form = { 'content-type': 'multipart/form-data; boundary=b' };
  const PLACES: [string, Record<string, string>, Buffer][] = [
    ['/prompt', {}, big],
    ['/userdata/big.json', {}, big],
    ['/free', {}, big],
    [
      '/upload/image',
      form,
      Buffer.concat([
        Buffer.from(
          '--b\r\nContent-Disposition: form-data; name="image"; filename="x.png"\r\n\r\n',
        ),
        big,
        Buffer.from('\r\n--b--\r\n'),
      ]),
    ],
  ];

  test.each(PLACES)(
    'to %s: who sends all of it before reading reads the 413',
    async (path, more, body) => {
      const head = (lines: string) =>
        `POST ${path} HTTP/1.1\r\nHost: ${hostOf(system.url)}\r\n` +
        Object.entries(more)
          .map(([name, value]) => `${name}: ${value}\r\n`)
          .join('') +
        `${lines}\r\n`;
      const chunk = Buffer.concat([
        Buffer.from(`${body.length.toString(16)}\r\n`),
        body,
        Buffer.from('\r\n0\r\n\r\n'),
      ]);
      for (const [lines, bytes] of [
        [`Content-Length: ${body.length}\r\n`, body],
        [`Content-Length: ${body.length}\r\nConnection: close\r\n`, body],
        ['Transfer-Encoding: chunked\r\n', chunk],
        ['Transfer-Encoding: chunked\r\nConnection: close\r\n', chunk],
      ] as const) {
        for (let round = 0; round < 3; round += 1) {
          const connection = await connectRaw(system.url);
          const answer = await connection.sendBeforeReading(head(lines), bytes);
          expect(answer).toMatch(/^HTTP\/1\.1 413 /);
          expect(answer).toContain('body_too_large');
        }
      }
    },
  );

  test('is not asked for when the caller asks first', async () => {
    const connection = await connectRaw(system.url);
    connection.send(
      `POST /prompt HTTP/1.1\r\nHost: ${hostOf(system.url)}\r\nExpect: 100-continue\r\nContent-Length: 9000000\r\n\r\n`,
    );
    expect(await connection.closed).toMatch(/^HTTP\/1\.1 413 /);
  });

  test('counts as what it is when it comes compressed', async () => {
    const bomb = gzipSync(Buffer.alloc(50_000_000, 32));
    expect(bomb.length).toBeLessThan(MAX_BYTES);
    const headers = { 'content-encoding': 'gzip' };
    for (const path of ['/prompt', '/userdata/bomb.json']) {
      expect([path, (await api.post(path, bomb, { headers })).status]).toEqual([path, 413]);
    }
  });
});

describe('a compressed body', () => {
  test.each([
    ['gzip', gzipSync],
    ['deflate', deflateSync],
    ['deflate', deflateRawSync],
    ['br', brotliCompressSync],
    ['identity', (text: string) => Buffer.from(text)],
  ])('in %s is read like any other', async (encoding, compress) => {
    const headers = { 'content-encoding': encoding };
    const text = JSON.stringify({ prompt: saveImage('packed') });
    const answer = await api.post('/prompt', compress(text), { headers });
    expect(answer.status).toBe(200);
    await api.post('/userdata/packed.txt', compress('packed text'), { headers });
    expect((await api.get('/userdata/packed.txt')).text).toBe('packed text');
  });

  test('that is damaged, or in an encoding nobody knows, is refused', async () => {
    const send = (encoding: string, body: string) =>
      api.post('/prompt', body, { headers: { 'content-encoding': encoding } });
    expect((await send('gzip', '{"prompt":{}}')).status).toBe(400);
    expect((await send('deflate', '{"prompt":{}}')).status).toBe(400);
    expect((await send('gzip', '')).status).toBe(400);
    const unknown = await send('zstd', '{}');
    expect([unknown.status, codeOf(unknown.text)]).toEqual([415, 'unsupported_encoding']);
  });
});

describe('every 400 and 403', () => {
  test.each([
    ['GET', '/view?filename=..%2F..%2Fx', 400],
    ['GET', '/view?filename=', 400],
    ['GET', '/view?filename=a.png&type=odd', 400],
    ['GET', '/view?filename=a.png&subfolder=..', 403],
    ['GET', '/history/%zz', 400],
    ['GET', '/api/history/%E0%A4%A', 400],
    ['GET', '/history/%ED%A0%80', 400],
    ['GET', '/object_info/%', 400],
    ['GET', '/api/jobs/%ff/events', 400],
    ['GET', '/api/jobs/%ff', 400],
    ['GET', '/models/%', 400],
    ['GET', '/settings/%c3%28', 400],
    ['GET', '/history?max_items=1.5', 400],
    ['GET', '/api/jobs?limit=-1', 400],
    ['GET', '/userdata', 400],
    ['GET', '/userdata?dir=..', 403],
    ['GET', '/userdata/..%2Fx', 403],
    ['GET', '/userdata/%80', 400],
    ['GET', '/v2/userdata?path=..', 400],
    ['GET', '/internal/files/odd', 400],
    ['POST', '/prompt', 400],
    ['POST', '/queue', 400],
    ['POST', '/history', 400],
    ['POST', '/free', 400],
    ['POST', '/settings', 400],
    ['POST', '/upload/image', 400],
    ['POST', '/upload/mask', 400],
    ['POST', '/userdata/..%2Fx', 403],
    ['POST', '/userdata/.', 400],
    ['DELETE', '/userdata/..%2Fx', 403],
    ['POST', '/userdata/a/move/..%2Fx', 403],
    ['POST', '/api/jobs/cancel', 400],
    ['POST', '/api/jobs/%/cancel', 400],
  ])('says why: %s %s', async (method, path, status) => {
    const body = method === 'POST' ? 'not what is wanted' : undefined;
    const answer = await api.request(method, path, body);
    expect(answer.status).toBe(status);
    expect(answer.text.length).toBeGreaterThan(10);
    expect(answer.headers['content-type']).toMatch(/json|text\/plain/);
    expect(answer.text).not.toMatch(/node_modules|\/work\/|at \w+ \(/);
  });

  test.each([
    ['no Host header', 'GET /queue HTTP/1.1\r\n\r\n', 400],
    [
      'a method for proxies',
      'CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n',
      400,
    ],
    [
      'a whole URL of another host',
      'GET http://x.example/ HTTP/1.1\r\nHost: x.example\r\n\r\n',
      403,
    ],
    ['no HTTP', 'nonsense\r\n\r\n', 400],
  ])('says why to a request with %s', async (_, text, status) => {
    const connection = await connectRaw(system.url);
    connection.send(text);
    await until(() => connection.text.includes('"node_errors"'));
    expect(connection.text).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    connection.socket.destroy();
  });
});
