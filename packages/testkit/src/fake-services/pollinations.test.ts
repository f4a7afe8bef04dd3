import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { stopEverything } from '../cleanup.ts';
import { http, type RawResponse } from '../raw-http.ts';
import { inspectPicture } from './inspect-picture.ts';
import { startFakePollinations } from './pollinations.ts';
import type { FakeService } from './service.ts';

let service: FakeService;
beforeAll(async () => {
  service = await startFakePollinations({ apiKey: 'key' });
});
afterAll(stopEverything);

function get(path: string, authorization?: string): Promise<RawResponse> {
  const headers = authorization === undefined ? {} : { authorization };
  return http(service.url).get(path, { headers });
}

describe.each([
  ['legacy', '/prompt/'],
  ['current', '/image/'],
])('the %s route', (_, route) => {
  test('answers a JPEG of the asked size', async () => {
    const response = await get(`${route}a%20cat%2F%3F?width=333&height=222&seed=5&key=key`);
    expect([response.status, response.headers['content-type']]).toEqual([200, 'image/jpeg']);
    const facts = { format: 'jpeg', width: 333, height: 222, isWhole: true };
    expect(inspectPicture(response.bytes)).toEqual(facts);
  });

  test('takes defaults for values that make no sense, and says nothing', async () => {
    const query = 'width=wide&height=-5&seed=x&model=nobody&nologo=maybe';
    const odd = await get(`${route}a?${query}&key=key`);
    const plain = await get(`${route}a`, 'Bearer key');
    expect(odd.status).toBe(200);
    expect(inspectPicture(odd.bytes)).toMatchObject({ width: 1024, height: 1024 });
    expect(odd.bytes).toEqual(plain.bytes);
  });

  test('makes another picture for another seed, model, negative prompt or image', async () => {
    const queries = ['', 'seed=1', 'model=turbo', 'negative_prompt=b', 'image=http://x/y.png'];
    const made = await Promise.all(
      queries.map(async (query) => (await get(`${route}a?${query}`, 'Bearer key')).bytes),
    );
    expect(new Set(made.map((bytes) => bytes.toString('hex'))).size).toBe(queries.length);
  });

  test('refuses another key in its envelope', async () => {
    const response = await get(`${route}a`, 'Bearer other');
    expect(response.status).toBe(401);
    expect(response.json()).toEqual({
      ...{ status: 401, success: false },
      error: {
        ...{ code: 'UNAUTHORIZED', message: expect.any(String), timestamp: expect.any(String) },
        ...{ details: {}, requestId: expect.any(String) },
      },
    });
  });
});

test('only the legacy route serves callers without a key', async () => {
  expect((await get('/prompt/a?width=64&height=64')).status).toBe(200);
  expect((await get('/image/a')).status).toBe(401);
});

test('both lists of models are served', async () => {
  expect((await get('/models')).json()).toContain('flux');
  expect((await get('/v1/models')).json()).toMatchObject({ object: 'list' });
});

test('legacy refuses content with a 400', async () => {
  service.setFault('safety');
  const refused = await get('/prompt/a');
  service.setFault(undefined);
  expect([refused.status, refused.text]).toEqual([400, expect.stringContaining('NSFW')]);
});
