import { createServer, get, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import { AppError } from '@tiercel/contracts';
import type { Response } from 'express';
import { http, onStopEverything, serveHttp, stopEverything, until } from '@tiercel/testkit';
import { sendEmpty, sendError, sendJson, sendText, streamJsonText } from './answer.ts';

afterEach(stopEverything);

async function serve(makeParts: () => AsyncIterable<string>): Promise<string> {
  const server = createServer((_req, res) => {
    // What streamJsonText uses of Express' response is Node's.
    streamJsonText(res as unknown as Response, makeParts()).catch(() => res.destroy());
  });
  onStopEverything(() => {
    server.closeAllConnections();
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function* each(...parts: string[]): AsyncGenerator<string> {
  for (const part of parts) yield await Promise.resolve(part);
}

describe('an answer that is made while it is sent', () => {
  test('has its length told when it is short', async () => {
    const answer = await http(await serve(() => each('[', '"ö"', ']'))).get('/');
    expect(answer.text).toBe('["ö"]');
    expect(answer.headers['content-length']).toBe('6');
    expect(answer.headers['content-type']).toBe('application/json; charset=utf-8');
  });

  test.each([
    ['many parts', Array.from({ length: 3_000 }, (_, n) => `"${n} ${'x'.repeat(500)}",`)],
    ['one long part', ['x'.repeat(3_000_000)]],
    ['characters of two halves at every place', [`x${'😀'.repeat(700_000)}`, 'é'.repeat(700_001)]],
  ])('arrives whole when it is long: %s', async (_what, parts) => {
    const answer = await http(await serve(() => each(...parts))).get('/');
    expect(answer.text).toBe(parts.join(''));
  });

  test('is made no faster than it is read', async () => {
    let made = 0;
    const url = await serve(async function* () {
      for (; made < 1_000; made += 1) yield await Promise.resolve('x'.repeat(100_000));
    });
    const reading = await new Promise<{ resume(): void; on(type: string, f: () => void): void }>(
      (resolve) => {
        get(url, { agent: false }, (res) => {
          res.pause();
          resolve(res);
        });
      },
    );
    await until(() => made > 0);
    let before = -1;
    await until(() => {
      const stands = made === before;
      before = made;
      return stands;
    });
    expect(made).toBeLessThan(300);
    const ended = new Promise<void>((resolve) => {
      reading.on('end', resolve);
    });
    reading.resume();
    await ended;
    expect(made).toBe(1_000);
  });

  test('that fails in the middle breaks off: half a list is no list', async () => {
    const url = await serve(async function* () {
      yield await Promise.resolve('x'.repeat(1_000_000));
      throw new Error('Redis is gone');
    });
    await expect(http(url).get('/')).rejects.toThrow();
  });
});

describe('an answer', () => {
  async function ask(answer: (res: ServerResponse) => void, method = 'GET') {
    const { url } = await serveHttp((_req, res) => {
      answer(res);
    });
    return await http(url).request(method, '/');
  }

  test('that is JSON or text has its type and its length in bytes', async () => {
    const json = await ask((res) => {
      sendJson(res, { cat: '猫' }, 201);
    });
    expect([json.status, json.text]).toEqual([201, '{"cat":"猫"}']);
    expect(json.headers).toMatchObject({
      ...{ 'content-type': 'application/json; charset=utf-8', 'content-length': '13' },
    });
    const text = await ask((res) => {
      sendText(res, '猫', { status: 404 });
    });
    expect([text.status, text.text]).toEqual([404, '猫']);
    expect(text.headers).toMatchObject({
      ...{ 'content-type': 'text/plain; charset=utf-8', 'content-length': '3' },
    });
    const page = await ask((res) => {
      sendText(res, '<p>', { type: 'text/html' });
    });
    expect([page.status, page.headers['content-type']]).toEqual([200, 'text/html']);
  });

  test.each(['GET', 'HEAD'])(
    'to %s that is empty has no type, and a length of nothing',
    async (method) => {
      for (const status of [200, 404] as const) {
        const { text, headers } = await ask((res) => {
          sendEmpty(res, status);
        }, method);
        expect([text, headers['content-length'], headers['content-type']]).toEqual([
          '',
          '0',
          undefined,
        ]);
      }
    },
  );

  test('204 has not even a length', async () => {
    const { status, headers } = await ask((res) => {
      sendEmpty(res, 204);
    });
    expect(status).toBe(204);
    expect(headers).not.toHaveProperty('content-length');
    expect(headers).not.toHaveProperty('transfer-encoding');
  });

  test('that refuses has ComfyUI’s shape, tells nothing of the cause, and is taken for nothing else', async () => {
    const cause = new Error('/secret/path');
    const error = new AppError('server_late', 'Too late.', { cause, retryAfterSeconds: 7 });
    const answer = await ask((res) => {
      sendError(res, error);
    });
    expect(answer.json()).toEqual({
      error: { type: 'server_late', message: 'Too late.', details: '', extra_info: {} },
      node_errors: {},
    });
    expect(answer.status).toBe(504);
    expect(answer.headers).toMatchObject({
      ...{ 'retry-after': '7', 'x-content-type-options': 'nosniff' },
    });
  });

  test('to a body that is too large ends the connection: the rest of it is not read', async () => {
    const answer = await ask((res) => {
      sendError(res, new AppError('body_too_large', 'Too large.'));
    });
    expect(answer).toMatchObject({ status: 413, headers: { connection: 'close' } });
  });
});
