import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { connectRedis, createLogger, type Redis } from '@tiercel/runtime';
import {
  connectRaw,
  http,
  startSystem,
  stopEverything,
  until,
  type RawHttp,
  type TestSystem,
} from '@tiercel/testkit';
import { readHistory, saveImage } from './prompts.ts';

/** Callers that leave before they are answered: what they asked for is done all the same, and at once. */

let system: TestSystem;
let api: RawHttp;
let control: Redis;

beforeAll(async () => {
  system = await startSystem();
  api = http(system.url);
  const log = createLogger({ level: 'silent', name: 'test' });
  control = connectRedis(system.redis.url, 'subscriber', log);
});
afterAll(async () => {
  control.disconnect();
  await stopEverything();
});

function request(id: string): string {
  const body = JSON.stringify({ prompt: saveImage('left'), prompt_id: id });
  return `POST /prompt HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}

describe('a caller that hangs up while its prompt is being queued', () => {
  test.each([
    ['alone', (id: string) => request(id)],
    [
      'behind another request of its connection',
      (id: string) => `GET /queue HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n${request(id)}`,
    ],
  ])('has its job run at once: %s', async (how, text) => {
    const worker = system.workers[0]!;
    const from = worker.logs.length;
    const ids = [1, 2, 3].map((n) => `${how}-${n}`);
    // Nothing can be queued before everybody has left.
    await control.client('PAUSE', 60_000, 'WRITE');
    for (const id of ids) {
      const caller = await connectRaw(system.url);
      caller.send(text(id));
      caller.socket.end();
      await caller.closed;
    }
    const resumedAt = performance.now();
    await control.client('UNPAUSE');
    for (const id of ids) await until(() => readHistory(api, id));
    // The sweeper would take three seconds, and say that an API process was lost.
    expect(performance.now() - resumedAt).toBeLessThan(2_000);
    expect(await control.zcard(`${system.options.redisPrefix ?? ''}:unreleased`)).toBe(0);
    expect(worker.logs.slice(from).join('\n')).not.toContain('lost API process');
  });
});
