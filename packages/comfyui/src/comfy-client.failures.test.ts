import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { AttemptError } from '@tiercel/routing';
import { type FakeComfyUi, serveHttp, startFakeComfyUi, stopEverything } from '@tiercel/testkit';
import { createComfyClient, type ComfyClient } from './comfy-client.ts';
import { failureOf, runMs } from './comfy-client.test-helpers.ts';

let fake: FakeComfyUi;
let client: ComfyClient;

beforeAll(async () => {
  fake = await startFakeComfyUi();
  client = createComfyClient({ baseUrl: fake.url, timeoutMs: 5_000 });
});
beforeEach(() => fake.reset());
afterAll(stopEverything);

describe('failures', () => {
  test.each([
    [301, 'config', false],
    [400, 'config', false],
    [401, 'config', false],
    [402, 'quota', false],
    [403, 'config', false],
    [404, 'config', false],
    [405, 'config', false],
    [408, 'timeout', true],
    [429, 'rate', false],
    [500, 'server', true],
    [502, 'server', true],
    [503, 'capacity', true],
    [504, 'server', true],
  ] as const)('an answer of %i is of the class %s', async (status, kind, uncertain) => {
    await fake.failRoute('^GET /queue$', { status, body: 'secret' }, 1);
    const failure = await failureOf(client.readQueue());
    expect(failure).toBeInstanceOf(AttemptError);
    expect(failure).toMatchObject({ class: kind, status, uncertain });
    expect(failure.message).toBe(`a server of the pool answered ${status} to GET /queue`);
    expect(failure.host).toBe(new URL(fake.url).host);
  });

  test.each([
    [413, 'caller'],
    [422, 'caller'],
    [400, 'bad_output'],
  ] as const)(
    'a %i for a prompt, that is no rejection, is of the class %s',
    async (status, kind) => {
      await fake.failRoute('^POST /prompt$', { status, body: 'Bad Request' }, 1);
      const failure = await failureOf(client.submit(runMs()));
      expect(failure).toMatchObject({ class: kind, status, uncertain: false });
    },
  );

  test.each([
    ['text', 'Welcome'],
    ['a list where an object is due', '[]'],
    ['an object of another shape', '{"queue_running":[]}'],
    ['nothing', ''],
  ])('an answer of 200 with %s is bad output', async (_what, body) => {
    await fake.failRoute('^GET /queue$', { status: 200, body }, 1);
    expect(await failureOf(client.readQueue())).toMatchObject({ class: 'bad_output' });
  });

  test('half an answer is bad output, none in time is a timeout', async () => {
    await fake.sendGarbage({ kind: 'truncated', path: '/object_info' }, 1);
    expect(await failureOf(client.objectInfo())).toMatchObject({ class: 'bad_output' });
    await fake.hangRoute('^GET /queue$', 1);
    expect(await failureOf(client.readQueue(undefined, 100))).toMatchObject({ class: 'timeout' });
  });

  test('say when to come back, and never the credentials of the URL', async () => {
    let seen: string | undefined;
    const { url } = await serveHttp((request, response) => {
      seen = `${request.url ?? ''} ${request.headers.authorization ?? ''}`;
      response.writeHead(429, { 'retry-after': '7' }).end();
    });
    const baseUrl = `${url.replace('//', '//name:s%40cret@')}/comfy/`;
    const guarded = createComfyClient({ baseUrl, timeoutMs: 1_000 });
    const failure = await failureOf(guarded.ping());
    expect(failure).toMatchObject({ class: 'rate', retryAfterMs: 7_000 });
    expect(seen).toBe(`/comfy/prompt Basic ${Buffer.from('name:s@cret').toString('base64')}`);
    expect(`${failure.message} ${failure.host} ${guarded.host}`).not.toContain('cret');
  });

  test('redirects are not followed', async () => {
    const paths: string[] = [];
    const { url } = await serveHttp((request, response) => {
      paths.push(request.url ?? '');
      response.writeHead(302, { location: '/login' }).end();
    });
    const lost = createComfyClient({ baseUrl: url, timeoutMs: 1_000 });
    expect(await failureOf(lost.submit(runMs()))).toMatchObject({ class: 'config', status: 302 });
    expect(paths).toEqual(['/prompt']);
  });

  test('a wrong URL is refused at once, without repeating it', () => {
    const create = (baseUrl: string) => () => createComfyClient({ baseUrl, timeoutMs: 1 });
    expect(create('gpu-a')).toThrow('cannot be read');
    expect(create('ftp://me:secret@gpu-a')).toThrow(/^the URL of the ComfyUI server gpu-a is nei/);
  });
});
