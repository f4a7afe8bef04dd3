import type { ServerResponse } from 'node:http';
import { afterEach, describe, expect, test } from '@jest/globals';
import { connectRaw, http, serveHttp, stopEverything } from '@tiercel/testkit';
import { goneSignal, onClosed } from './on-closed.ts';

afterEach(stopEverything);

/** A server whose answers are the test's to give. */
async function serve(): Promise<{ url: string; next: () => Promise<ServerResponse> }> {
  const waiting: ((res: ServerResponse) => void)[] = [];
  const arrived: ServerResponse[] = [];
  const { url } = await serveHttp((_req, res) => {
    const take = waiting.shift();
    if (take === undefined) arrived.push(res);
    else take(res);
  });
  const next = () => {
    const res = arrived.shift();
    if (res !== undefined) return Promise.resolve(res);
    return new Promise<ServerResponse>((resolve) => waiting.push(resolve));
  };
  return { url, next };
}

const closing = (res: ServerResponse) =>
  new Promise<void>((resolve) => {
    onClosed(res, resolve);
  });

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';

describe('who waits for the end of an answer', () => {
  test('is told when it has been sent, and only once', async () => {
    const { url, next } = await serve();
    const answered = http(url).get('/');
    const res = await next();
    let sent = 0;
    onClosed(res, () => {
      sent += 1;
    });
    const gone = goneSignal(res);
    expect([sent, gone.aborted]).toEqual([0, false]);
    const { socket } = res.req;
    res.end('done');
    expect((await answered).text).toBe('done');
    await closing(res);
    if (!socket.closed) await new Promise((closed) => socket.once('close', closed));
    expect([sent, gone.aborted]).toEqual([1, true]);
  });

  test('is told when the caller hangs up before it', async () => {
    const { url, next } = await serve();
    const connection = await connectRaw(url);
    connection.send(GET);
    const res = await next();
    const sent = closing(res);
    connection.socket.destroy();
    await sent;
    expect(res.writableEnded).toBe(false);
  });

  test('is told at once when that has happened already', async () => {
    const { url, next } = await serve();
    const connection = await connectRaw(url);
    connection.send(GET);
    const res = await next();
    connection.socket.destroy();
    await closing(res);
    let wasCalled = false;
    onClosed(res, () => {
      wasCalled = true;
    });
    expect(wasCalled).toBe(true);
    expect(goneSignal(res).aborted).toBe(true);
  });

  test('is told of a connection that goes while the answer waits behind another one of it', async () => {
    const { url, next } = await serve();
    const connection = await connectRaw(url);
    connection.send(GET + GET);
    const first = await next();
    const second = await next();
    const sent = closing(second);
    const late = new Promise<void>((resolve) => {
      first.once('close', resolve);
    });
    connection.socket.destroy();
    await sent;
    await late;
    // Even for who asks only now.
    await closing(second);
    expect(goneSignal(second).aborted).toBe(true);
  });
});
