import { createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import type { Response } from 'express';
import { http, onStopEverything, stopEverything, until } from '@tiercel/testkit';
import { streamJsonText } from './answer.ts';

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
