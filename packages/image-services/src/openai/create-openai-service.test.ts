import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import sharp from 'sharp';
import type { AttemptError } from '@tiercel/routing';
import {
  type FakeService,
  onStopEverything,
  serveHttp,
  startFakeOpenAi,
  stopEverything,
} from '@tiercel/testkit';
import type { ImageService } from '../service/image-service.ts';
import { sampleContext, sampleRequest } from '../service/sample-request.test-helpers.ts';
import { createOpenAiService } from './create-openai-service.ts';
import { classifyOpenAi } from '../service/vendor-refusals.ts';
import { chooseOpenAiSize } from './openai-sizes.ts';

let fake: FakeService;
const context = sampleContext();
const open = (model = 'gpt-image-1.5'): ImageService =>
  createOpenAiService({ url: `${fake.url}/v1`, apiKey: 'key', model });

beforeAll(async () => {
  fake = await startFakeOpenAi();
});
afterAll(stopEverything);

describe('OpenAI', () => {
  it('is asked in the words of its images API only', async () => {
    const { changed } = await open().generate(sampleRequest({ width: 768 }), context);
    const { body, headers } = fake.requests().at(-1)!;
    expect(body).toEqual({
      ...{ model: 'gpt-image-1.5', prompt: 'a lighthouse', n: 1, size: '1536x1024' },
    });
    expect(headers.authorization).toBe('Bearer key');
    expect(changed).toEqual([{ param: 'size', asked: '768x512', used: '1536x1024' }]);
  });

  it('makes a batch of more than ten in several requests', async () => {
    const before = fake.requests().length;
    const received: number[] = [];
    const { images } = await open().generate(
      sampleRequest({ batch: 12 }),
      sampleContext({ onProgress: (fraction) => received.push(fraction) }),
    );
    expect(images).toHaveLength(12);
    const counts = fake
      .requests()
      .slice(before)
      .map(({ body }) => (body as { n: number }).n);
    expect([counts, received]).toEqual([[10, 2], [10 / 12]]);
  });

  it('edits a picture where the mask is white, which is see-through there', async () => {
    const size = { width: 4, height: 2, channels: 3 as const };
    const init = await sharp({ create: { ...size, background: 'red' } })
      .png()
      .toBuffer();
    const half = { width: 2, height: 2, channels: 3 as const };
    const white = await sharp({ create: { ...half, background: 'white' } })
      .png()
      .toBuffer();
    const mask = await sharp({ create: { ...size, background: 'black' } })
      .composite([{ input: white, left: 0, top: 0 }])
      .png()
      .toBuffer();
    await open().generate(sampleRequest({ init: [init], mask }), context);
    const { path, files } = fake.requests().at(-1)!;
    expect([path, files.map(({ field }) => field)]).toEqual([
      '/v1/images/edits',
      ['image', 'mask'],
    ]);
    const alpha = await sharp(files[1]!.bytes).extractChannel('alpha').raw().toBuffer();
    expect([...alpha]).toEqual([0, 0, 255, 255, 0, 0, 255, 255]);
  });

  it('edits each picture of a batch by itself when each has its own to start from', async () => {
    const paint = (background: string): Promise<Buffer> =>
      sharp({ create: { width: 8, height: 8, channels: 3, background } })
        .png()
        .toBuffer();
    const init = await Promise.all(['red', 'blue'].map(paint));
    const before = fake.requests().length;
    const { images } = await open().generate(sampleRequest({ init, batch: 2 }), context);
    const files = fake
      .requests()
      .slice(before)
      .map(({ files: [image] }) => image?.bytes);
    expect([images.length, files]).toEqual([2, init]);
  });

  it('is followed to a picture that it gives by its URL, without the key', async () => {
    const png = await sharp({ create: { width: 8, height: 8, channels: 3, background: 'red' } })
      .png()
      .toBuffer();
    const keys: (string | undefined)[] = [];
    let where = '/file.png';
    const server = createServer((request, response) => {
      keys.push(request.headers.authorization);
      if (request.url === '/file.png') response.end(png);
      else
        response.end(
          JSON.stringify({
            data: [{ url: new URL(where, `http://${String(request.headers.host)}`) }],
          }),
        );
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onStopEverything(() => server.close());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
    const service = createOpenAiService({ url, apiKey: 'key', model: 'other' });
    const { images } = await service.generate(sampleRequest(), context);
    expect([images, keys]).toEqual([[png], ['Bearer key', undefined]]);
    for (where of ['http://127.0.0.1:1/file.png', '/gone/../v1/none']) {
      await expect(service.generate(sampleRequest(), context)).rejects.toMatchObject({
        class: 'bad_output',
      });
    }
  });

  it('takes a picture in either member, whatever the other one holds', async () => {
    const png = await sharp({ create: { width: 8, height: 8, channels: 3, background: 'red' } })
      .png()
      .toBuffer();
    const base64 = png.toString('base64');
    let item: unknown;
    const { url } = await serveHttp((request, response) => {
      if (request.method === 'GET') response.end(png);
      else response.end(JSON.stringify({ created: 1, data: [item] }));
    });
    const service = createOpenAiService({ url: `${url}/v1`, apiKey: 'key', model: 'local' });
    for (item of [
      { url: `${url}/files/a.png`, b64_json: '' },
      { url: '/files/a.png', b64_json: null },
      { url: `data:image/png;base64,${base64}`, b64_json: '' },
      { url: '', b64_json: base64 },
      { url: null, b64_json: `data:image/png;base64,${base64}` },
    ]) {
      const { images } = await service.generate(sampleRequest(), context);
      expect(images).toEqual([png]);
    }
    for (item of [{ url: '', b64_json: '' }, {}, null, { url: 7 }]) {
      await expect(service.generate(sampleRequest(), context)).rejects.toMatchObject({
        class: 'bad_output',
      });
    }
  });

  it('looks at no more pictures than it asked for', async () => {
    let downloads = 0;
    const { url } = await serveHttp((request, response) => {
      if (request.method === 'GET') downloads += 1;
      const data = Array.from({ length: 50 }, () => ({ url: '/picture' }));
      response.end(request.method === 'GET' ? 'no picture' : JSON.stringify({ data }));
    });
    const service = createOpenAiService({ url, apiKey: 'key', model: 'local' });
    await expect(service.generate(sampleRequest({ batch: 2 }), context)).rejects.toThrow('OpenAI');
    expect(downloads).toBeLessThanOrEqual(2);
  });

  it('pauses as its rate limit says when it sends no Retry-After', async () => {
    const exhausted = { 'x-ratelimit-remaining-images': '0', 'x-ratelimit-reset-images': '1m30s' };
    const other = { 'x-ratelimit-remaining-tokens': '9', 'x-ratelimit-reset-tokens': '6m0s' };
    const error = { code: 'rate_limit_exceeded' };
    for (const [headers, code, pauseMs] of [
      [{ ...exhausted, ...other }, 'rate_limit_exceeded', 90_000],
      [{ ...exhausted, 'retry-after': '1', 'retry-after-ms': '1500' }, 'slow_down', 1_500],
      [other, 'rate_limit_exceeded', undefined],
      [exhausted, 'insufficient_quota', undefined],
    ] as const) {
      const { url } = await serveHttp((_, response) =>
        response.writeHead(429, headers).end(JSON.stringify({ error: { ...error, code } })),
      );
      const service = createOpenAiService({ url, apiKey: 'key', model: 'gpt-image-2' });
      const before = Date.now();
      const failure: unknown = await service
        .generate(sampleRequest(), context)
        .catch((thrown: unknown) => thrown);
      const { retryAtMs } = failure as AttemptError;
      if (pauseMs === undefined) expect(retryAtMs).toBeUndefined();
      else {
        expect(retryAtMs).toBeGreaterThanOrEqual(before + pauseMs);
        expect(retryAtMs).toBeLessThanOrEqual(Date.now() + pauseMs);
      }
    }
  });

  it.each([
    ['gpt-image-1-mini', '832x1216', '1024x1536'],
    ['gpt-image-1.5', '900x1000', '1024x1024'],
    ['gpt-image-2', '1344x768', '1344x768'],
    ['gpt-image-2.5-flare', '1920x1080', '1920x1088'],
    ['dall-e-2', '300x300', '512x512'],
    ['dall-e-2', '2000x2000', '1024x1024'],
    ['dall-e-3', '1920x1080', '1792x1024'],
    ['somebody-elses', '1920x1080', '1536x1024'],
  ])('has for %s and %s the size %s', (model, asked, used) => {
    const [width = 0, height = 0] = asked.split('x').map(Number);
    const size = chooseOpenAiSize(model, { width, height });
    expect(`${size.width}x${size.height}`).toBe(used);
  });

  it.each([
    [400, { code: 'content_policy_violation' }, 'safety'],
    [400, { code: 'billing_hard_limit_reached' }, 'quota'],
    [400, { code: 'invalid_value', param: 'size' }, 'config'],
    [400, { code: 'unknown_parameter', param: 'n' }, 'config'],
    [400, { code: 'string_above_max_length', param: 'prompt' }, 'caller'],
    [400, { code: 'invalid_image_file', param: 'image' }, 'caller'],
    [429, { code: 'insufficient_quota' }, 'quota'],
  ])('means by %d and %j: %s', (status, error, expected) => {
    expect(classifyOpenAi({ status, json: { error } })).toMatchObject({ class: expected });
  });
});
