import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import sharp from 'sharp';
import { AttemptError } from '@tiercel/routing';
import { systemClock } from '@tiercel/runtime';
import {
  expectedClass,
  FAKE_FAULTS,
  type FakeService,
  serveHttp,
  startFakeAutomatic1111,
  startFakeCloudflare,
  startFakeOpenAi,
  startFakePollinations,
  startFakeTurbo,
  stopEverything,
  until,
  type WireRequest,
} from '@tiercel/testkit';
import { createAutomatic1111Service } from '../automatic1111/create-automatic1111-service.ts';
import { createCloudflareService } from '../cloudflare/create-cloudflare-service.ts';
import { createOpenAiService } from '../openai/create-openai-service.ts';
import { createPollinationsService } from '../pollinations/create-pollinations-service.ts';
import { createTurboService } from '../turbo/create-turbo-service.ts';
import {
  IMAGE_PARAMS,
  type ImageParam,
  type ImageRequest,
  type ImageService,
} from './image-service.ts';
import { sampleContext, sampleRequest } from './sample-request.test-helpers.ts';

const KEY = 'key-that-stays-secret';
const LOGIN_BASE64 = Buffer.from(`user:${KEY}`).toString('base64');

interface Rig {
  readonly name: string;
  start(): Promise<FakeService>;
  create(url: string): ImageService;
  readSeed?(request: WireRequest): unknown;
  /** The end of the seeds that the vendor takes. */
  readonly seedEnd?: bigint;
}

const bodySeed = ({ body }: WireRequest): unknown => (body as { seed?: unknown }).seed;
const cloudflare = (model: string): Rig => ({
  name: `cloudflare ${model}`,
  start: () => startFakeCloudflare({ apiKey: KEY, accountId: 'acc' }),
  create: (url) =>
    createCloudflareService({ url: `${url}/client/v4`, accountId: 'acc', apiKey: KEY, model }),
  readSeed: bodySeed,
  seedEnd: 2n ** 53n,
});
const pollinations = (route: string): Rig => ({
  name: `pollinations ${route}`,
  start: () => startFakePollinations({ apiKey: KEY }),
  create: (url) => createPollinationsService({ url: `${url}${route}`, apiKey: KEY, model: 'flux' }),
  readSeed: ({ query }) => query.seed,
  seedEnd: 2n ** 31n,
});
const rigs: readonly Rig[] = [
  cloudflare('@cf/lykon/dreamshaper-8-lcm'),
  cloudflare('@cf/black-forest-labs/flux-1-schnell'),
  cloudflare('@cf/black-forest-labs/flux-2-klein-4b'),
  cloudflare('@cf/black-forest-labs/flux-2-dev'),
  {
    name: 'openai',
    start: () => startFakeOpenAi({ apiKey: KEY }),
    create: (url) => createOpenAiService({ url: `${url}/v1`, apiKey: KEY, model: 'gpt-image-1.5' }),
  },
  {
    name: 'automatic1111',
    start: () => startFakeAutomatic1111({ auth: `user:${KEY}` }),
    create: (url) => createAutomatic1111Service({ url, apiKey: `user:${KEY}` }),
    readSeed: bodySeed,
    seedEnd: 2n ** 64n,
  },
  {
    name: 'turbo',
    start: () => startFakeTurbo(),
    create: (url) => createTurboService({ urls: [url], clock: systemClock }),
    readSeed: bodySeed,
    seedEnd: 2n ** 64n,
  },
  pollinations('/image'),
  pollinations('/prompt'),
];

const plainRequest = sampleRequest({ prompt: 'a lighthouse / at "dusk" & 50%?' });

function paintPng(background: string): Promise<Buffer> {
  const size = { width: 512, height: 512, channels: 3 as const };
  return sharp({ create: { ...size, background } })
    .png()
    .toBuffer();
}

afterAll(stopEverything);

describe.each(rigs)('$name', (rig) => {
  const { seedEnd = 0n } = rig;
  let fake: FakeService;
  let service: ImageService;
  let variants: Readonly<
    Record<ImageParam, readonly [Partial<ImageRequest>, Partial<ImageRequest>]>
  >;

  beforeAll(async () => {
    fake = await rig.start();
    service = rig.create(fake.url);
    const [red, blue, mask] = await Promise.all(['red', 'blue', 'white'].map(paintPng));
    const init = [red!];
    variants = {
      negative: [{ negative: '' }, { negative: 'fog' }],
      seed: [{ seed: 1 }, { seed: 2 }],
      steps: [{ steps: 5 }, { steps: 7 }],
      cfg: [{ cfg: 1.2 }, { cfg: 1.8 }],
      guidance: [{ guidance: 3 }, { guidance: 4 }],
      sampler: [{ sampler: 'euler' }, { sampler: 'dpmpp_2m' }],
      scheduler: [{ scheduler: 'normal' }, { scheduler: 'karras' }],
      size: [{ width: 512 }, { width: 1024 }],
      batch: [{ batch: 1 }, { batch: 2 }],
      denoise: [
        { init, denoise: 0.5 },
        { init, denoise: 0.7 },
      ],
      init_image: [{ init }, { init: [blue!] }],
      mask: [{ init }, { init, mask: mask! }],
    };
  });

  /** On a slow machine some ask for progress meanwhile. */
  function pictureRequests(): readonly WireRequest[] {
    return fake.requests().filter(({ path }) => !path.endsWith('/progress'));
  }

  /** What reached the wire for a request; ids that are new each time left out. */
  async function record(changes: Partial<ImageRequest>): Promise<unknown> {
    const before = pictureRequests().length;
    await service.generate({ ...plainRequest, ...changes }, sampleContext());
    const sent = pictureRequests().slice(before);
    return sent.map(({ method, path, query, body, files }) => {
      const fields = { ...(body as object | undefined), force_task_id: undefined };
      return { method, path, query, fields, files };
    });
  }

  it('gives the file of a picture for a prompt, with special characters in it', async () => {
    const served = await service.generate(plainRequest, sampleContext());
    expect(served.images).toHaveLength(1);
    const { width } = await sharp(served.images[0]).metadata();
    expect(width).toBeGreaterThanOrEqual(512);
    expect(served).toMatchObject({ dropped: [], model: expect.stringMatching(/./) });
    const sent = pictureRequests();
    const { path, body } = sent.at(-1)!;
    expect(decodeURIComponent(path) + inspect(body)).toContain(plainRequest.prompt);
  });

  it('gives a different picture for each one of a batch', async () => {
    const { images } = await service.generate({ ...plainRequest, batch: 3 }, sampleContext());
    const distinct = new Set(images.map((bytes) => Buffer.from(bytes).toString('base64')));
    expect([images.length, distinct.size]).toEqual([3, 3]);
  });

  it('sends a seed exactly, or wrapped into the range of the vendor and reported', async () => {
    if (rig.readSeed === undefined) return;
    for (const seed of [42, 2 ** 31 - 1, 2n ** 63n + 5n, 2n ** 64n - 1n]) {
      const { changed } = await service.generate({ ...plainRequest, seed }, sampleContext());
      const used = BigInt(seed) % seedEnd;
      const pictures = pictureRequests();
      const sent = rig.readSeed(pictures.at(-1)!);
      expect(String(sent)).toBe(String(used));
      expect(changed.some(({ param }) => param === 'seed')).toBe(used !== BigInt(seed));
    }
  });

  it.each(IMAGE_PARAMS)('passes %s on when it says so, and else not at all', async (param) => {
    const [one, other] = variants[param];
    const [first, second] = [await record(one), await record(other)];
    if (service.honours.has(param)) expect(second).not.toEqual(first);
    else expect(second).toEqual(first);
  });

  it('says beforehand that it cannot start from an image, or takes one', () => {
    const wish = { ...plainRequest, hasInit: true, hasMask: false };
    const obstacle = service.findObstacle(wish);
    expect(obstacle === undefined).toBe(service.honours.has('init_image'));
    expect(service.findObstacle({ ...wish, hasInit: false })).toBeUndefined();
  });

  it.each(FAKE_FAULTS)('tells %s by its class, without the key', async (name) => {
    const expected = expectedClass(fake.state().vendor, name);
    fake.setFault(name === 'slow' ? { name, ms: 10 } : name);
    const before = Date.now();
    const timeoutMs = name === 'hang' ? 300 : 20_000;
    const outcome: unknown = await service
      .generate(plainRequest, sampleContext({ timeoutMs }))
      .catch((error: unknown) => error)
      .finally(() => {
        fake.setFault(undefined);
      });
    if (expected === 'served') {
      expect(outcome).toMatchObject({ images: [expect.anything()] });
      return;
    }
    expect(outcome).toBeInstanceOf(AttemptError);
    const error = outcome as AttemptError;
    expect([error.class, error.message]).toEqual([expected, expect.any(String)]);
    const shown = inspect(error, { depth: 20, showHidden: true });
    for (const secret of [KEY, LOGIN_BASE64]) expect(shown).not.toContain(secret);
    if (name === 'rate') {
      expect(error.retryAtMs).toBeGreaterThanOrEqual(before + 2_000);
      expect(error.retryAtMs).toBeLessThanOrEqual(Date.now() + 2_000);
    }
  });

  it.each([
    ['2', 2_000],
    ['12.5', 12_500],
    ['.75', 750],
    ['0', 0],
    ['1m30s', 90_000],
    ['99999999999999999999', 86_400_000],
    ['-5', undefined],
    ['soon', undefined],
    ['Sun, 06 Nov 1994 08:49:37 GMT', undefined],
  ])('is left alone for as long as Retry-After says (%s)', async (header, pauseMs) => {
    const { url } = await serveHttp((_, response) =>
      response.writeHead(429, { 'retry-after': header }).end(),
    );
    const before = Date.now();
    const error = await rig
      .create(url)
      .generate(plainRequest, sampleContext())
      .catch((failure: unknown) => failure);
    expect(error).toMatchObject({ class: 'rate' });
    const { retryAtMs } = error as AttemptError;
    if (pauseMs === undefined) {
      expect(retryAtMs).toBeUndefined();
    } else {
      expect(retryAtMs).toBeGreaterThanOrEqual(before + pauseMs);
      expect(retryAtMs).toBeLessThanOrEqual(Date.now() + pauseMs);
    }
  });

  it('ends with the reason of the abort, and its request goes away', async () => {
    fake.setFault('hang');
    const { aborted } = fake.state().counts;
    const stop = new AbortController();
    const outcome = service.generate(
      { ...plainRequest, batch: 2 },
      sampleContext({ signal: stop.signal }),
    );
    await until(() => fake.state().counts.running > 0);
    const reason = new Error('interrupted');
    stop.abort(reason);
    await expect(outcome).rejects.toBe(reason);
    await until(() => fake.state().counts.running === 0);
    expect(fake.state().counts.aborted).toBeGreaterThan(aborted);
    fake.setFault(undefined);
  });

  it('asks nothing when it is aborted before it begins', async () => {
    const before = fake.requests().length;
    const signal = AbortSignal.abort(new Error('too late'));
    await expect(service.generate(plainRequest, sampleContext({ signal }))).rejects.toThrow(
      'too late',
    );
    expect(fake.requests()).toHaveLength(before);
  });

  it('reports a server that is not there as a trouble of the network', async () => {
    const gone = await rig.start();
    await gone.stop();
    await expect(
      rig.create(gone.url).generate(plainRequest, sampleContext()),
    ).rejects.toMatchObject({
      class: 'network',
    });
  });
});
