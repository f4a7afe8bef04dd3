import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type FakeService, startFakePollinations, stopEverything } from '@tiercel/testkit';
import type { ImageService } from '../service/image-service.ts';
import { sampleContext, sampleRequest } from '../service/sample-request.test-helpers.ts';
import { createPollinationsService } from './create-pollinations-service.ts';

let fake: FakeService;
const open = (route: string, apiKey?: string): ImageService =>
  createPollinationsService({ url: `${fake.url}${route}`, apiKey, model: 'flux' });

beforeAll(async () => {
  fake = await startFakePollinations();
});
afterAll(stopEverything);

describe('Pollinations', () => {
  it.each([
    ['', '/image/a%20lighthouse'],
    ['/', '/image/a%20lighthouse'],
    ['/image', '/image/a%20lighthouse'],
    ['/prompt/', '/prompt/a%20lighthouse'],
  ])('is asked by the route that its URL has (%j)', async (route, path) => {
    await open(route, 'key').generate(sampleRequest(), sampleContext());
    const request = fake.requests().at(-1)!;
    expect([request.path, request.headers.authorization]).toEqual([path, 'Bearer key']);
  });

  it('keeps the picture as it was asked for and out of the public feed', async () => {
    const request = sampleRequest({ negative: 'fog', width: 1001, height: 777 });
    await open('/prompt').generate(request, sampleContext());
    const { query, headers } = fake.requests().at(-1)!;
    expect(query).toEqual({
      ...{ model: 'flux', width: '1001', height: '777', seed: '7', negative_prompt: 'fog' },
      ...{ guidance_scale: '1.5', nologo: 'true', enhance: 'false', private: 'true' },
    });
    expect(headers.authorization).toBeUndefined();
  });

  it('gets a random seed when nobody asks for one, as its own default is always the same', async () => {
    const before = fake.requests().length;
    const request = sampleRequest({ seed: undefined, batch: 2 });
    await open('', 'key').generate(request, sampleContext());
    const seeds = fake
      .requests()
      .slice(before)
      .map(({ query }) => query.seed);
    expect(new Set(seeds).size).toBe(2);
  });

  it.each(['..', 'a/../b', 'a?b#c%', '\ud800 half a pair', 'ünïcödé 灯台'])(
    'gets %j as one part of the path',
    async (prompt) => {
      await open('', 'key').generate(sampleRequest({ prompt }), sampleContext());
      const [, route, ...rest] = fake.requests().at(-1)!.path.split('/');
      const wellFormed = Buffer.from(prompt).toString();
      expect([route, ...rest.map((part) => decodeURIComponent(part).trim())]).toEqual([
        'image',
        wellFormed,
      ]);
    },
  );

  it('leaves prompts that fit no URL to other tiers', () => {
    const wish = { ...sampleRequest({ prompt: '灯'.repeat(700) }), hasInit: false, hasMask: false };
    expect(open('').findObstacle(wish)).toContain('6000');
  });
});
