import { createServer, type AddressInfo, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import { findDeadUrl, onStopEverything, serveHttp, stopEverything } from '@tiercel/testkit';
import { AddressGuard, type Lookup } from './address-guard.ts';
import { sendWebhook, type SendResult } from './send-webhook.ts';

afterEach(stopEverything);

const send = (
  url: string,
  {
    guard = new AddressGuard(['127.0.0.1']),
    timeoutMs = 700,
    signal = new AbortController().signal,
  } = {},
): Promise<SendResult> =>
  sendWebhook(
    new URL(url),
    { headers: { 'content-type': 'application/json' }, body: '{"type":"job.queued"}' },
    { guard, connectTimeoutMs: 500, timeoutMs, signal },
  );

/** A server below HTTP, on a free port. */
async function serveRaw(onConnection: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    onConnection(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onStopEverything(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise<void>((resolve) =>
      server.close(() => {
        resolve();
      }),
    );
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('an answer', () => {
  test('is its status; its body is not waited for', async () => {
    const { url } = await serveHttp((req, res) => {
      req.resume().on('end', () => {
        res.writeHead(201, { 'content-type': 'text/plain' });
        res.write('a beginning');
      });
    });
    expect(await send(url, { timeoutMs: 5_000 })).toMatchObject({ status: 201 });
  });

  test('of any size is cut off', async () => {
    let sent = 0;
    const { url } = await serveHttp((req, res) => {
      req.resume();
      res.writeHead(200);
      const more = (): void => {
        while (!res.destroyed && sent < 64 * 1024 * 1024) {
          sent += 64 * 1024;
          if (!res.write(Buffer.alloc(64 * 1024))) return;
        }
      };
      res.on('drain', more);
      more();
    });
    expect(await send(url)).toMatchObject({ status: 200 });
    expect(sent).toBeLessThan(16 * 1024 * 1024);
  });

  test('that redirects is not followed', async () => {
    const asked: string[] = [];
    const { url } = await serveHttp((req, res) => {
      asked.push(req.url ?? '');
      res.writeHead(307, { location: '/elsewhere' }).end();
    });
    expect(await send(`${url}/hook`)).toMatchObject({ status: 307 });
    expect(asked).toEqual(['/hook']);
  });

  test('may say when to come back', async () => {
    const { url } = await serveHttp((_req, res) =>
      res.writeHead(503, { 'retry-after': '7' }).end(),
    );
    expect(await send(url)).toEqual({ status: 503, retryAfterMs: 7_000 });
  });
});

describe('a receiver that', () => {
  test('does not answer is given up in time', async () => {
    const { url } = await serveHttp(() => undefined);
    expect(await send(url)).toEqual({ code: 'timeout' });
  });

  test('sends half a status line is given up in time', async () => {
    const url = await serveRaw((socket) => socket.write('HTTP/1.1 20'));
    expect(await send(url)).toEqual({ code: 'timeout' });
  });

  test('resets the connection has not answered', async () => {
    const url = await serveRaw((socket) => {
      socket.once('data', () => socket.resetAndDestroy());
    });
    expect(await send(url)).toEqual({ code: 'broken_off' });
  });

  test('says something else than HTTP has not answered', async () => {
    const url = await serveRaw((socket) => socket.end('SSH-2.0-OpenSSH_9\r\n'));
    expect(await send(url)).toEqual({ code: 'broken_off' });
  });

  test('is not there cannot be reached', async () => {
    expect(await send(await findDeadUrl())).toEqual({ code: 'unreachable' });
  });

  test('speaks no TLS where it is asked to fails as such', async () => {
    const { url } = await serveHttp((_req, res) => res.end());
    expect(await send(url.replace('http:', 'https:'))).toEqual({ code: 'tls_failed' });
  });

  test('has a name that is never found is given up in time', async () => {
    const guard = new AddressGuard([], () => new Promise(() => undefined));
    expect(await send('http://slow.example/', { guard, timeoutMs: 200 })).toEqual({
      code: 'timeout',
    });
  });

  test('is being asked when the process stops is left', async () => {
    const { url } = await serveHttp(() => undefined);
    const stopping = new AbortController();
    const sent = send(url, { signal: stopping.signal });
    stopping.abort();
    expect(await sent).toEqual({ code: 'stopped' });
  });
});

describe('a name that means another address a moment later', () => {
  test('is connected to where it was checked', async () => {
    const asked: string[] = [];
    const { url } = await serveHttp((req, res) => {
      asked.push(req.headers.host ?? '');
      res.writeHead(204).end();
    });
    const { port } = new URL(url);
    // Checked as the one that is allowed; every later look would find another machine.
    const answers = ['127.0.0.1', '127.0.0.2', '10.0.0.1'];
    const rebinding: Lookup = () =>
      Promise.resolve([{ address: answers.shift() ?? '10.0.0.9', family: 4 as const }]);
    const guard = new AddressGuard(['127.0.0.1'], rebinding);
    expect(await send(`http://rebinding.example:${port}/`, { guard })).toMatchObject({
      status: 204,
    });
    expect(asked).toEqual([`rebinding.example:${port}`]);
    expect(answers).toHaveLength(2);
    expect(await send(`http://rebinding.example:${port}/`, { guard })).toEqual({
      code: 'address_refused',
    });
    expect(asked).toHaveLength(1);
  });

  test('never reaches a private address that stands beside a public one', async () => {
    const asked: unknown[] = [];
    const { url } = await serveHttp((_req, res) => {
      asked.push(1);
      res.end();
    });
    // The public one cannot be reached from a test: what counts is that the other is not tried in its place.
    const guard = new AddressGuard([], () =>
      Promise.resolve([
        { address: '240.0.0.1', family: 4 },
        { address: '127.0.0.1', family: 4 },
        { address: '2606:4700::1', family: 6 },
      ]),
    );
    const result = await send(url.replace('127.0.0.1', 'mixed.example'), { guard });
    expect(result).toHaveProperty('code');
    expect(asked).toEqual([]);
  });

  test('an address in numbers is checked too, although nobody looks it up', async () => {
    const { url } = await serveHttp((_req, res) => res.end());
    const { port } = new URL(url);
    for (const host of ['127.0.0.1', '2130706433', '0x7f.1', '[::ffff:127.0.0.1]', 'localhost']) {
      const result = await send(`http://${host}:${port}/`, { guard: new AddressGuard([]) });
      expect([host, result]).toEqual([host, { code: 'address_refused' }]);
    }
  });
});
