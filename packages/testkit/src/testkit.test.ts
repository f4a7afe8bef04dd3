import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, describe, expect, test } from '@jest/globals';
import { connectRedis, createLogger } from '@tiercel/runtime';
import { WebSocketServer, type WebSocket } from 'ws';
import {
  connectSocket,
  expectNothingFor,
  http,
  onStopEverything,
  spawnProcess,
  startTestRedis,
  stopEverything,
  stopOwn,
  until,
} from './index.ts';

const log = createLogger({ level: 'silent', name: 'test' });
const here = import.meta.dirname;

afterAll(stopEverything);

describe('startTestRedis', () => {
  test('keeps its data over kill -9 and restart, and a connection goes on by itself', async () => {
    const server = await startTestRedis();
    const redis = connectRedis(server.url, 'subscriber', log);
    onStopEverything(() => {
      redis.disconnect();
    });
    await redis.set('job', 'kept');
    const { pid } = server;
    await server.kill9();
    await server.restart();
    expect(server.pid).not.toBe(pid);
    expect(await redis.get('job')).toBe('kept');
    await server.flush();
    expect(await redis.dbsize()).toBe(0);
    redis.disconnect();
  });

  test('can listen on a port', async () => {
    const server = await startTestRedis({ listen: 'port' });
    expect(server.url).toMatch(/^redis:/);
    await server.stop();
  });
});

describe('stopOwn', () => {
  const ended: string[] = [];
  const startOne = (name: string) => {
    onStopEverything(() => ended.push(name));
  };

  test('ends what its test started, last first, and nothing of others', async () => {
    startOne('of the file');
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const neighbour = stopOwn(async () => {
      startOne('of the neighbour');
      await held;
    })();
    await stopOwn(async (name: string) => {
      startOne(name);
      await Promise.resolve();
      startOne(`${name}, later`);
    })('own');
    expect(ended).toEqual(['own, later', 'own']);
    release();
    await neighbour;
    expect(ended.splice(0)).toEqual(['own, later', 'own', 'of the neighbour']);
  });

  test('ends it when the test fails too, and what could not be ended is told', async () => {
    const failing = stopOwn(() => {
      startOne('own');
      return Promise.reject(new Error('the test failed'));
    });
    await expect(failing()).rejects.toThrow('the test failed');
    expect(ended.splice(0)).toEqual(['own']);
    const stuck = stopOwn(async () => {
      await Promise.resolve();
      onStopEverything(() => {
        throw new Error('it will not end');
      });
    });
    await expect(stuck()).rejects.toThrow('could not be stopped');
  });
});

describe('spawnProcess', () => {
  test('waits until the program is ready, and hands on the settings that the test names', async () => {
    const program = await spawnProcess({
      file: `${here}/fixtures/ready.mjs`,
      env: { GREETING: 'hello = there' },
    });
    expect(program.url).toBe('http://127.0.0.1:1');
    await until(() => program.logs.includes('GREETING=hello = there PORT=undefined'));
    expect(await program.stop()).toBe(7);
    expect(await program.exited).toEqual({ code: 7, signal: null });
  });

  test('kills with -9', async () => {
    const program = await spawnProcess({ file: `${here}/fixtures/ready.mjs` });
    await program.kill9();
    expect(await program.exited).toEqual({ code: null, signal: 'SIGKILL' });
  });

  test('fails with the output of a program that cannot start', async () => {
    await expect(spawnProcess({ file: `${here}/fixtures/broken.mjs` })).rejects.toThrow(
      /ended with code 1 before it was ready:\nthe port is taken/,
    );
  });
});

/** A server with a WebSocket that hands every connection to `serve`, and echoes HTTP requests. */
async function startServer(
  serve: (socket: WebSocket, request: IncomingMessage) => void,
): Promise<string> {
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (part: Buffer) => (body += part.toString()));
    request.on('end', () => {
      response.setHeader('x-url', request.url ?? '');
      response.setHeader('x-type', request.headers['content-type'] ?? 'none');
      response.statusCode = 201;
      response.end(body === '' ? '{"seed":18446744073709551615}' : body);
    });
  });
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', serve);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  onStopEverything(() => {
    for (const socket of sockets.clients) socket.terminate();
    server.close();
  });
  const { port } = server.address() as AddressInfo; // a TCP server's address is an object
  return `http://127.0.0.1:${port}`;
}

function binary(event: number, second: number, ...parts: (string | Buffer)[]): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(event, 0);
  head.writeUInt32BE(second, 4);
  return Buffer.concat([head, ...parts.map((part) => Buffer.from(part))]);
}

describe('connectSocket', () => {
  test('records every kind of frame in order', async () => {
    const metadata = '{"node_id":"3","image_type":"image/jpeg"}';
    const url = await startServer((socket, request) => {
      socket.send(`{"type":"status","data":{"sid":"${request.url ?? ''}"}}`);
      socket.on('message', (message: Buffer) => {
        socket.send(message.toString());
        socket.send(binary(1, 2, 'png'));
        socket.send(binary(3, 2, '12', 'some text'));
        socket.send(binary(4, metadata.length, metadata, 'jpeg'));
        socket.send(binary(9, 0));
        socket.send('{"type":"progress","data":{"value":18446744073709551615}}');
      });
    });
    const client = await connectSocket(url, { clientId: 'me', featureFlags: { previews: true } });
    const last = await client.waitForText('progress');
    expect(last.data).toEqual({ value: 18446744073709551615n });
    expect(client.frames).toMatchObject([
      { kind: 'text', type: 'status', data: { sid: '/ws?clientId=me' } },
      { kind: 'text', type: 'feature_flags', data: { previews: true } },
      { kind: 'preview', event: 1, mediaType: 'image/png', image: Buffer.from('png') },
      { kind: 'progress_text', nodeId: '12', text: 'some text' },
      {
        ...{ kind: 'preview', event: 4, mediaType: 'image/jpeg', image: Buffer.from('jpeg') },
        metadata: { node_id: '3', image_type: 'image/jpeg' },
      },
      { kind: 'unknown' },
      { kind: 'text', type: 'progress' },
    ]);
    expect(client.textFrames('status')).toHaveLength(1);
    await client.close();
  });

  test('waiting in vain fails with what came instead', async () => {
    const url = await startServer((socket) => {
      socket.send('{"type":"status","data":{}}');
    });
    const client = await connectSocket(url);
    await expect(client.waitFor((frame) => frame.kind === 'preview', 200)).rejects.toThrow(
      /no such frame in 200 ms(.|\n)*"type":"status"/,
    );
    client.terminate();
    await expect(client.waitForText('executed')).rejects.toThrow(/the socket was closed/);
  });

  test('a paused socket makes the server buffer', async () => {
    const connections: WebSocket[] = [];
    const url = await startServer((socket) => connections.push(socket));
    const client = await connectSocket(url);
    client.pause();
    for (let i = 0; i < 32; i += 1) connections[0]?.send(Buffer.alloc(1024 * 1024));
    await expectNothingFor(300); // it is not sent after all
    expect(connections[0]?.bufferedAmount).toBeGreaterThan(1024 * 1024);
    client.resume();
    await until(() => client.frames.length === 32);
  });

  test('fails with the status when the server refuses', async () => {
    const server = createServer();
    server.on('upgrade', (_, socket) => socket.end('HTTP/1.1 403 Forbidden\r\n\r\n'));
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    onStopEverything(() => server.close());
    const { port } = server.address() as AddressInfo; // as above
    await expect(connectSocket(`http://127.0.0.1:${port}`)).rejects.toThrow('403');
  });
});

describe('http', () => {
  test('sends the path and a raw body untouched and reads big integers', async () => {
    const client = http(await startServer(() => undefined));
    const got = await client.get('/view/../x//y?a=%2e');
    expect(got.headers['x-url']).toBe('/view/../x//y?a=%2e');
    expect([got.status, got.json()]).toEqual([201, { seed: 18446744073709551615n }]);
    const raw = await client.post('/prompt', '{"prompt": NaN}');
    expect([raw.headers['x-type'], raw.text]).toEqual(['none', '{"prompt": NaN}']);
    const json = await client.post('/prompt', { seed: 18446744073709551615n });
    expect([json.headers['x-type'], json.text]).toEqual([
      'application/json',
      '{"seed":18446744073709551615}',
    ]);
  });
});

test('until gives the first truthy answer, or fails with the last error', async () => {
  let calls = 0;
  expect(await until(() => (++calls < 3 ? undefined : 'there'))).toBe('there');
  const failing = until(() => Promise.reject(new Error('not yet')), 60);
  await expect(failing).rejects.toMatchObject({ cause: new Error('not yet') });
});
