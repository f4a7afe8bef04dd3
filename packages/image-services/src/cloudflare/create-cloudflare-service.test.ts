import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import sharp from 'sharp';
import { type FakeService, serveHttp, startFakeCloudflare, stopEverything } from '@tiercel/testkit';
import type { ImageService } from '../service/image-service.ts';
import { sampleContext, sampleRequest } from '../service/sample-request.test-helpers.ts';
import { classifyCloudflare, nextUtcMidnightMs } from '../service/vendor-refusals.ts';
import { createCloudflareService } from './create-cloudflare-service.ts';

let fake: FakeService;
const context = sampleContext();
const open = (model: string): ImageService =>
  createCloudflareService({ url: `${fake.url}/client/v4`, accountId: 'acc', apiKey: 'key', model });
const sent = (): Record<string, unknown>[] =>
  fake.requests().map(({ body }) => body as Record<string, unknown>);

beforeAll(async () => {
  fake = await startFakeCloudflare();
});
beforeEach(() => {
  fake.setFault(undefined);
});
afterAll(stopEverything);

describe('Dreamshaper LCM', () => {
  const model = '@cf/lykon/dreamshaper-8-lcm';

  it('gets the few steps and the low guidance it is made for, and the change is reported', async () => {
    const request = sampleRequest({ steps: 30, cfg: 8, width: 1023, height: 4096 });
    const { changed } = await open(model).generate(request, context);
    expect(sent().at(-1)).toMatchObject({ num_steps: 8, guidance: 2, width: 512, height: 2048 });
    expect(changed).toEqual([
      { param: 'steps', asked: 30, used: 8 },
      { param: 'size', asked: '1023x4096', used: '512x2048' },
      { param: 'cfg', asked: 8, used: 2 },
    ]);
  });

  it('gets such values also when nobody asks for any', async () => {
    await open(model).generate(sampleRequest({ steps: undefined, cfg: undefined }), context);
    expect(sent().at(-1)).toMatchObject({ num_steps: 6, guidance: 1.5 });
  });

  it('is asked once more without the seed when it fails, and the seed is reported as dropped', async () => {
    fake.setFault('error_with_seed');
    const before = sent().length;
    const served = await open(model).generate(sampleRequest({ seed: 2n ** 60n }), context);
    expect(served).toMatchObject({ dropped: ['seed'], changed: [] });
    expect(
      sent()
        .slice(before)
        .map(({ seed }) => seed !== undefined),
    ).toEqual([true, false]);
  });

  it('is not asked again without the seed when the seed is not to blame', async () => {
    for (const fault of ['rate', 'capacity', 'unavailable', 'reset', 'empty'] as const) {
      fake.setFault(fault);
      const before = sent().length;
      await expect(open(model).generate(sampleRequest(), context)).rejects.toThrow('Cloudflare');
      expect(sent()).toHaveLength(before + 1);
    }
  });

  it('gets a new random seed when nobody asks for one, as equal requests are answered from a cache', async () => {
    const before = sent().length;
    const request = sampleRequest({ seed: undefined, batch: 2 });
    const { changed } = await open(model).generate(request, context);
    const seeds = sent()
      .slice(before)
      .map(({ seed }) => seed);
    expect([new Set(seeds).size, changed]).toEqual([2, []]);
  });
});

describe('FLUX.2', () => {
  const dev = '@cf/black-forest-labs/flux-2-dev';
  const klein = '@cf/black-forest-labs/flux-2-klein-4b';

  it('is asked by a form, even for nothing but a prompt', async () => {
    const request = sampleRequest({ steps: 20, cfg: 7, guidance: 4, width: 1000, height: 700 });
    const { changed } = await open(dev).generate(request, context);
    const { headers } = fake.requests().at(-1)!;
    expect(headers['content-type']).toMatch(/^multipart\/form-data; boundary=/);
    expect(sent().at(-1)).toEqual({
      ...{ prompt: 'a lighthouse', width: '1008', height: '704' },
      ...{ steps: '20', guidance: '4.0', seed: '7' },
    });
    expect(changed).toEqual([{ param: 'size', asked: '1000x700', used: '1008x704' }]);
  });

  it('klein is not told how many steps to make', async () => {
    await open(klein).generate(sampleRequest({ steps: 20 }), context);
    expect(sent().at(-1)).not.toHaveProperty('steps');
    expect(open(klein).honours.has('steps')).toBe(false);
    expect(open('@cf/black-forest-labs/flux-2-later').honours).toEqual(open(klein).honours);
  });

  it('starts from a picture, made as small as it takes them, and takes no mask', async () => {
    const paint = (width: number, height: number): Promise<Buffer> =>
      sharp({ create: { width, height, channels: 3, background: 'red' } })
        .png()
        .toBuffer();
    const sizeOfLast = async (): Promise<unknown> => {
      const [file] = fake.requests().at(-1)!.files;
      const { width, height } = await sharp(file?.bytes).metadata();
      return [file?.field, width, height];
    };
    const size = { width: 1024, height: 768 };
    const init = [await paint(1024, 768)];
    const request = sampleRequest({ ...size, init, denoise: 0.6 });
    const { changed } = await open(klein).generate(request, context);
    expect(await sizeOfLast()).toEqual(['input_image_0', 496, 372]);
    expect(changed).toEqual([{ param: 'init_image', asked: '1024x768', used: '496x372' }]);
    const small = { width: 256, height: 256, init: [await paint(256, 256)] };
    const served = await open(klein).generate(sampleRequest(small), context);
    expect(await sizeOfLast()).toEqual(['input_image_0', 256, 256]);
    expect(served.changed).toEqual([]);
    const wish = { ...sampleRequest(), hasInit: true, hasMask: true };
    expect(open(klein).findObstacle(wish)).toBe('takes no mask');
  });
});

describe('Cloudflare', () => {
  it('does without the seed of a model that says it knows no such field, from then on', async () => {
    const png = await sharp({ create: { width: 8, height: 8, channels: 3, background: 'red' } })
      .png()
      .toBuffer();
    const seeds: boolean[] = [];
    const { url } = await serveHttp((request, response) => {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        const hasSeed = Buffer.concat(parts).includes('"seed"');
        seeds.push(hasSeed);
        const message = "Additional or unevaluated properties '/seed' at '/' not allowed";
        const errors = [{ code: 5006, message: `AiError: Bad input: Error: ${message}` }];
        if (hasSeed) response.writeHead(400).end(JSON.stringify({ success: false, errors }));
        else response.end(png);
      });
    });
    const model = '@cf/black-forest-labs/flux-1-schnell';
    const service = createCloudflareService({ url, accountId: 'acc', apiKey: 'key', model });
    for (const expected of [
      [true, false],
      [true, false, false],
    ]) {
      const { dropped } = await service.generate(sampleRequest(), context);
      expect([dropped, seeds]).toEqual([['seed'], expected]);
    }
  });

  it('is out of quota until the next midnight in UTC', async () => {
    fake.setFault('quota');
    const failure = open('@cf/lykon/dreamshaper-8-lcm').generate(sampleRequest(), context);
    await expect(failure).rejects.toMatchObject({
      class: 'quota',
      retryAtMs: nextUtcMidnightMs(Date.now()),
    });
    for (const [status, code] of [
      [429, 4006],
      [400, 3036],
    ] as const) {
      const json = { success: false, errors: [{ code, message: 'daily free allocation' }] };
      expect(classifyCloudflare({ status, json })).toMatchObject({
        class: 'quota',
        retryAtMs: nextUtcMidnightMs(Date.now()),
      });
    }
    expect(nextUtcMidnightMs(Date.UTC(2026, 10, 21, 23, 59, 59, 999))).toBe(Date.UTC(2026, 10, 22));
  });

  it.each([
    [5004, 'caller'],
    [3006, 'caller'],
    [5007, 'config'],
    [5016, 'config'],
    [3023, 'config'],
    [3008, 'timeout'],
  ])('means by code %d: %s', (code, expected) => {
    const json = { success: false, errors: [{ code, message: 'AiError' }] };
    expect(classifyCloudflare({ status: 400, json })).toMatchObject({ class: expected });
  });

  it('leaves prompts that Flux does not take to other tiers', () => {
    const flux = open('@cf/black-forest-labs/flux-1-schnell');
    const wish = { ...sampleRequest({ prompt: 'x'.repeat(2049) }), hasInit: false, hasMask: false };
    expect(flux.findObstacle(wish)).toContain('2048');
    expect(flux.findObstacle({ ...wish, prompt: ' ' })).toBe('needs a prompt text');
    expect(flux.findObstacle({ ...wish, prompt: 'x', batch: 100 })).toContain('32');
  });

  it('gives Flux no more steps than it takes', async () => {
    const { changed } = await open('@cf/black-forest-labs/flux-1-schnell').generate(
      sampleRequest({ steps: 20 }),
      context,
    );
    expect(sent().at(-1)).toEqual({ prompt: 'a lighthouse', steps: 8, seed: 7 });
    expect(changed).toEqual([{ param: 'steps', asked: 20, used: 8 }]);
  });
});
