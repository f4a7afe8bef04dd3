import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { AppError } from '@tiercel/contracts';
import { connectRaw, http, stopEverything, until } from '@tiercel/testkit';
import { sendError } from './answer.ts';
import { createHttpServer, type HttpServer } from './http-server.ts';

const MAX_BODY_BYTES = 1_000_000;
let server: HttpServer;
let url: string;
const unreadable: number[] = [];
const upgraded: string[] = [];

beforeAll(async () => {
  server = createHttpServer({
    handle: answerTest,
    shouldUpgrade: (req) => req.headers.upgrade === 'websocket' && req.url === '/ws',
    upgrade: (req, socket) => {
      upgraded.push(req.url ?? '');
      socket.end('HTTP/1.1 101 Switching Protocols\r\n\r\n');
    },
    maxBodyBytes: MAX_BODY_BYTES,
    onUnreadable: (status) => unreadable.push(status),
  });
  const { port } = await server.listen('127.0.0.1', 0);
  url = `http://127.0.0.1:${port}`;
});
afterAll(async () => {
  await stopEverything();
  await server.close(100);
});

/** `/refuse` answers before it has read anything, everything else tells how much it was sent. */
function answerTest(req: IncomingMessage, res: ServerResponse): void {
  if (req.url === '/refuse') {
    sendError(res, new AppError('body_too_large', 'Too large.'));
    return;
  }
  let size = 0;
  req.on('data', (chunk: Buffer) => (size += chunk.length));
  req.on('end', () => res.end(`${req.method ?? ''} ${req.url ?? ''} ${size};`));
  req.on('error', () => undefined);
}

const H2C = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n';

describe('an offer to change protocols that is not taken', () => {
  test.each([
    ['h2c', H2C],
    ['TLS', 'Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n'],
    ['several', 'Connection: Upgrade\r\nUpgrade: h2c, websocket\r\n'],
    ['a WebSocket elsewhere', 'Connection: Upgrade\r\nUpgrade: websocket\r\n'],
  ])('is ignored: %s is served as plain HTTP, bodies included', async (_, offer) => {
    const long = 'x'.repeat(200_000);
    const requests = [
      [`GET /a HTTP/1.1\r\nHost: h\r\n${offer}\r\n`, 'GET /a 0;'],
      [`POST /b HTTP/1.1\r\nHost: h\r\n${offer}Content-Length: 5\r\n\r\nhello`, 'POST /b 5;'],
      [
        `POST /c HTTP/1.1\r\nHost: h\r\n${offer}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
        'POST /c 5;',
      ],
      [
        `POST /d HTTP/1.1\r\nHost: h\r\n${offer}Content-Length: ${long.length}\r\n\r\n${long}`,
        `POST /d ${long.length};`,
      ],
    ] as const;
    for (const [request, answer] of requests) {
      const connection = await connectRaw(url);
      // In pieces: the head may come long before the body.
      for (let at = 0; at < request.length; at += 60_000) {
        connection.send(request.slice(at, at + 60_000));
        await new Promise((done) => setImmediate(done));
      }
      await until(() => connection.text.includes(answer));
      expect(connection.text).toMatch(/^HTTP\/1\.1 200 OK/);
      connection.socket.destroy();
    }
  });

  test('leaves the connection usable for the next requests', async () => {
    const connection = await connectRaw(url);
    for (const [name, offer] of [
      ['1', H2C],
      ['2', H2C],
      ['3', ''],
    ]) {
      connection.send(`POST /${name} HTTP/1.1\r\nHost: h\r\n${offer}Content-Length: 2\r\n\r\nok`);
      await until(() => connection.text.includes(`POST /${name} 2;`));
    }
    connection.socket.destroy();
    expect(upgraded).toEqual([]);
  });

  test('and one that is taken changes it', async () => {
    const connection = await connectRaw(url);
    connection.send(
      'GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    );
    expect(await connection.closed).toContain('101 Switching Protocols');
    expect(upgraded).toEqual(['/ws']);
  });
});

describe('what is no HTTP/1.1 request', () => {
  test.each([
    ['garbage', 'hello there\r\n\r\n', 400, 'bad_request'],
    ['bytes', '\u0000\u0001\u0002\r\n\r\n', 400, 'bad_request'],
    ['a header without a name', 'GET / HTTP/1.1\r\nHost: h\r\n: x\r\n\r\n', 400, 'bad_request'],
    [
      'two lengths',
      'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
      400,
      'bad_request',
    ],
    [
      'a length that is none',
      'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ten\r\n\r\n',
      400,
      'bad_request',
    ],
    [
      'a broken chunk',
      'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
      400,
      'bad_request',
    ],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400, 'bad_request'],
    [
      'a URL that is too long',
      `GET /${'x'.repeat(20_000)} HTTP/1.1\r\n\r\n`,
      431,
      'headers_too_large',
    ],
    [
      'headers that are too long',
      `GET / HTTP/1.1\r\nHost: h\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`,
      431,
      'headers_too_large',
    ],
    [
      'an expectation of more',
      'POST / HTTP/1.1\r\nHost: h\r\nExpect: miracles\r\nConnection: close\r\nContent-Length: 0\r\n\r\n',
      417,
      'expectation_failed',
    ],
  ])('%s is refused with a body, and closed', async (_, text, status, code) => {
    const connection = await connectRaw(url);
    connection.send(text);
    // More of it must not reset the connection before the answer is read.
    connection.send('x'.repeat(100_000));
    const answer = await connection.closed;
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    const [head = '', body = ''] = answer.split('\r\n\r\n');
    expect(head).toContain('application/json');
    expect(JSON.parse(body)).toMatchObject({ error: { type: code }, node_errors: {} });
  });

  test('is counted, and the server goes on', async () => {
    expect(unreadable.filter((status) => status === 400).length).toBeGreaterThanOrEqual(6);
    expect(unreadable).toContain(431);
    expect((await http(url).get('/after')).text).toBe('GET /after 0;');
  });
});

describe('a refusal while the body is still coming', () => {
  const body = Buffer.alloc(8_000_000, 120);
  const length = `Content-Length: ${body.length}\r\n`;

  test.each([
    ['a length', 'HTTP/1.1', length, body],
    ['a length, and the wish to close', 'HTTP/1.1', `${length}Connection: close\r\n`, body],
    ['HTTP/1.0', 'HTTP/1.0', length, body],
    [
      'chunks',
      'HTTP/1.1',
      'Transfer-Encoding: chunked\r\n',
      Buffer.concat([
        Buffer.from(`${body.length.toString(16)}\r\n`),
        body,
        Buffer.from('\r\n0\r\n\r\n'),
      ]),
    ],
  ])('reaches who sends everything before reading: %s', async (_, version, headers, bytes) => {
    for (let round = 0; round < 5; round += 1) {
      const connection = await connectRaw(url);
      const head = `POST /refuse ${version}\r\nHost: h\r\n${headers}\r\n`;
      const answer = await connection.sendBeforeReading(head, bytes);
      expect(answer).toMatch(/^HTTP\/1\.1 413 /);
      expect(answer).toContain('"body_too_large"');
    }
  });

  test('is all that comes when the caller asked before sending', async () => {
    const connection = await connectRaw(url);
    connection.send(
      `POST /refuse HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: ${MAX_BODY_BYTES + 1}\r\n\r\n`,
    );
    expect(await connection.closed).toMatch(/^HTTP\/1\.1 413 /);
    const smaller = await connectRaw(url);
    smaller.send(
      'POST /ok HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n',
    );
    await until(() => smaller.text.includes('100 Continue'));
    smaller.send('ok');
    await until(() => smaller.text.includes('POST /ok 2;'));
    smaller.socket.destroy();
  });
});
