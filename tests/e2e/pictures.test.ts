import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createDeflate, crc32 } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  connectSocket,
  http,
  startSystem,
  stopEverything,
  until,
  type RawHttp,
  type SpawnedProcess,
  type TestSystem,
} from '@tiercel/testkit';
import { lastMessage, post, saveImage, waitForEnd } from './prompts.ts';

/** Large pictures: nothing blocks, memory has a limit, and refusals say what to do. */

const [WIDTH, HEIGHT] = [4_000, 3_000];
const MIB = 1024 * 1024;
/** Of the worker, for pictures; and of the API. */
const WORKER_MIB = 1_000;
const API_MIB = 200;
/** A worker that blocks for so long is killed. */
const BLOCKED_MS = 500;
const JOB_MS = 120_000;

let system: TestSystem;
let api: RawHttp;

beforeAll(async () => {
  system = await startSystem({
    env: { WORKER_CONCURRENCY: '4' },
    configYaml: [
      `api: { maxPixels: ${WIDTH * HEIGHT}, pictureMemoryBytes: ${API_MIB * MIB} }`,
      `worker: { maxPixels: ${WIDTH * HEIGHT}, pictureMemoryBytes: ${WORKER_MIB * MIB}, cacheBytes: 1, blockedMs: ${BLOCKED_MS} }`,
    ].join('\n'),
  });
  api = http(system.url);
  const input = join(system.dataDir, 'input');
  await mkdir(input, { recursive: true });
  await writeFile(join(input, 'limit.png'), await drawPng(WIDTH, HEIGHT));
  await writeFile(join(input, 'bomb.png'), await drawPng(16_383, 16_383));
}, 60_000);
afterAll(stopEverything);

/** A PNG of stripes, written row by row. */
async function drawPng(width: number, height: number): Promise<Buffer> {
  const deflate = createDeflate({ level: 9 });
  const parts: Buffer[] = [];
  deflate.on('data', (part: Buffer) => parts.push(part));
  const row = Buffer.alloc(1 + width * 3, 0x40);
  row[0] = 0;
  for (let y = 0; y < height; y += 1) {
    if (!deflate.write(row)) await new Promise((resolve) => deflate.once('drain', resolve));
  }
  const ended = new Promise((resolve) => deflate.once('end', resolve));
  deflate.end();
  await ended;
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const chunk = (type: string, data: Buffer) => {
    const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
    const frame = Buffer.alloc(8);
    frame.writeUInt32BE(data.length, 0);
    frame.writeUInt32BE(crc32(body), 4);
    return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
  };
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', header),
    chunk('IDAT', Buffer.concat(parts)),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

/** The most memory that a process has had, in MiB; undefined where /proc does not tell. */
function readPeakMib({ pid }: SpawnedProcess): number | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
  } catch {
    return undefined;
  }
}

const node = (class_type: string, inputs: object) => ({ class_type, inputs });
const empty = (color: number) =>
  node('EmptyImage', { width: WIDTH, height: HEIGHT, batch_size: 1, color });
const mask = (value: number) => node('SolidMask', { width: WIDTH, height: HEIGHT, value });
/** Ends in a small picture: saving is not what is meant. */
const show = (from: string) => ({
  crop: node('ImageCrop', { image: [from, 0], width: 8, height: 8, x: 0, y: 0 }),
  shown: node('PreviewImage', { images: ['crop', 0] }),
});
const model = node('CheckpointLoaderSimple', { ckpt_name: 'sketch.safetensors' });

/** Graphs whose nodes compute for long at the limit. */
const heavy: Readonly<Record<string, Record<string, unknown>>> = {
  blend: {
    a: empty(1),
    b: empty(2),
    c: node('ImageBlend', {
      ...{ image1: ['a', 0], image2: ['b', 0], blend_factor: 0.5, blend_mode: 'soft_light' },
    }),
    ...show('c'),
  },
  inpaint: {
    a: empty(3),
    m: node('SolidMask', { width: 64, height: 64, value: 1 }),
    model,
    e: node('VAEEncodeForInpaint', {
      ...{ pixels: ['a', 0], mask: ['m', 0], vae: ['model', 2], grow_mask_by: 6 },
    }),
    c: node('VAEDecode', { samples: ['e', 0], vae: ['model', 2] }),
    ...show('c'),
  },
  'masks and flips': {
    m: mask(0.25),
    i: node('InvertMask', { mask: ['m', 0] }),
    t: node('ThresholdMask', { mask: ['i', 0], value: 0.5 }),
    p: node('MaskToImage', { mask: ['t', 0] }),
    f: node('ImageFlip', { image: ['p', 0], flip_method: 'y-axis: horizontally' }),
    c: node('ImageInvert', { image: ['f', 0] }),
    ...show('c'),
  },
  'blur and edges': {
    a: empty(5),
    b: node('ImageBlur', { image: ['a', 0], blur_radius: 4, sigma: 1 }),
    e: node('Canny', { image: ['b', 0], low_threshold: 0.1, high_threshold: 0.3 }),
    c: node('ImageRotate', { image: ['e', 0], rotation: '180 degrees' }),
    ...show('c'),
  },
  'load and save': {
    l: node('LoadImage', { image: 'limit.png' }),
    s: node('ImageScale', {
      ...{ image: ['l', 0], upscale_method: 'lanczos' },
      ...{ width: 2_000, height: 1_500, crop: 'center' },
    }),
    saved: node('SaveImage', { images: ['l', 0], filename_prefix: 'heavy' }),
    small: node('PreviewImage', { images: ['s', 0] }),
  },
};

describe('nodes at the pixel limit', () => {
  test(
    'all at once neither block the worker nor take more than its memory, and others get their turn',
    async () => {
      const ids = await Promise.all(
        Object.entries(heavy).map(([client_id, prompt]) => post(api, prompt, { client_id })),
      );
      const ended = Promise.all(ids.map((id) => waitForEnd(api, id, JOB_MS)));
      for (const item of await ended) {
        expect(lastMessage(item)[0]).toBe('execution_success');
        // Started once: no watchdog has killed its worker.
        const starts = item.status.messages.filter(([type]) => type === 'execution_start');
        expect(starts).toHaveLength(1);
      }
      const [worker] = system.workers;
      expect(worker?.logs.join('\n')).not.toContain('event loop is stuck');
      const peak = readPeakMib(worker!);
      // The process itself, garbage that was not collected yet, and what the allocator keeps.
      if (peak !== undefined) expect(peak).toBeLessThan(WORKER_MIB + 500);
    },
    JOB_MS,
  );

  test(
    'are interrupted at once',
    async () => {
      const socket = await connectSocket(system.url, { clientId: 'stop' });
      const prompt = {
        m: mask(0.5),
        half: node('ImageToMask', { image: ['both', 0], channel: 'red' }),
        black: empty(0),
        white: node('EmptyImage', { width: 9, height: 9, batch_size: 1, color: 0xffffff }),
        both: node('ImageCompositeMasked', {
          ...{ destination: ['black', 0], source: ['white', 0], x: 9, y: 9, resize_source: false },
        }),
        // Thousands of rounds over the whole mask: it would take an hour.
        grow: node('GrowMask', { mask: ['half', 0], expand: 16_384, tapered_corners: true }),
        c: node('MaskToImage', { mask: ['grow', 0] }),
        ...show('c'),
      };
      const id = await post(api, prompt, { client_id: 'stop' });
      await socket.waitForText('executing', (data) => (data as { node?: string }).node === 'grow');
      const small = await post(api, saveImage(), { client_id: 'beside' });
      expect(lastMessage(await waitForEnd(api, small))[0]).toBe('execution_success');
      const askedAt = Date.now();
      await api.post('/interrupt', { prompt_id: id });
      await socket.waitForText('execution_interrupted');
      expect(Date.now() - askedAt).toBeLessThan(1_500);
      await socket.close();
    },
    JOB_MS,
  );

  test(
    'are refused when they can never fit, by a sentence that names the setting',
    async () => {
      const prompt = Object.fromEntries(
        Array.from({ length: 6 }, (_, i) => [[`e${i}`, empty(100 + i)]]).flat(),
      );
      const batch = (a: string, b: string) =>
        node('ImageBatch', { image1: [a, 0], image2: [b, 0] });
      const over = await post(api, { ...prompt, b: batch('e0', 'e1'), ...show('b') });
      const [, tooMany] = lastMessage(await waitForEnd(api, over, JOB_MS));
      expect(tooMany).toMatchObject({ node_type: 'ImageBatch', exception_type: 'ValueError' });
      expect(tooMany.exception_message).toBe(
        'The batch has 24,000,000 pixels (2 frames of 4000x3000), more than the 12,000,000 allowed here ' +
          '(worker.maxPixels). Make it smaller, or raise that setting.',
      );
      const sums = Object.fromEntries(
        Array.from({ length: 5 }, (_, i) => [
          `c${i}`,
          node('ImageCompositeMasked', {
            ...{ destination: [`e${i}`, 0], source: [`e${i + 1}`, 0], x: 0, y: 0 },
            resize_source: false,
          }),
        ]),
      );
      // Six pictures that are needed to the end: all outputs at once.
      const shown = Object.fromEntries(
        Array.from({ length: 5 }, (_, i) => [
          `f${i}`,
          node('ImageBlend', {
            ...{ image1: [`c${i}`, 0], image2: [`e${5 - i}`, 0] },
            ...{ blend_factor: 0.5, blend_mode: 'normal' },
          }),
        ]),
      );
      const outputs = Object.fromEntries(
        Object.keys(shown).map((id) => [`p${id}`, node('PreviewImage', { images: [id, 0] })]),
      );
      const id = await post(api, { ...prompt, ...sums, ...shown, ...outputs });
      const [type, failure] = lastMessage(await waitForEnd(api, id, JOB_MS));
      expect(type).toBe('execution_error');
      expect(failure.exception_type).toBe('MemoryError');
      expect(failure.exception_message).toMatch(
        /^The pictures need [\d,]+ MiB .* \(its part of worker\.pictureMemoryBytes\)\. .*\.$/,
      );
    },
    JOB_MS,
  );
});

describe('a picture over the limit', () => {
  test('is refused by LoadImage before it is decoded, by its name', async () => {
    const prompt = {
      l: node('LoadImage', { image: 'bomb.png' }),
      shown: node('PreviewImage', { images: ['l', 0] }),
    };
    const [type, failure] = lastMessage(await waitForEnd(api, await post(api, prompt)));
    expect(type).toBe('execution_error');
    expect(failure.exception_message).toMatch(
      /^bomb\.png has 268,402,689 pixels \(16383x16383\), .*\.$/,
    );
  });

  test('costs the API neither memory nor time when it is asked for eight times at once', async () => {
    const answers = await Promise.all(
      ['preview=webp', 'preview=jpeg', 'channel=rgb', 'channel=a'].flatMap((wish) => [
        api.get(`/view?filename=bomb.png&type=input&${wish}`),
        api.get(`/view?filename=bomb.png&type=input&${wish}`),
      ]),
    );
    for (const { status, text } of answers) {
      expect(status).toBe(413);
      expect(text).toContain('bomb.png has 268,402,689 pixels');
    }
    const peak = readPeakMib(system.apis[0]!);
    if (peak !== undefined) expect(peak).toBeLessThan(API_MIB + 400);
  });
});

test(
  'eight previews of a large picture are made a few at a time, while the API answers others',
  async () => {
    const path = '/view?filename=limit.png&type=input&preview=jpeg;50';
    let isOver = false;
    const previews = Promise.all(
      Array.from({ length: 8 }, () => api.get(path, { timeoutMs: JOB_MS })),
    ).finally(() => {
      isOver = true;
    });
    const others: number[] = [];
    while (!isOver) {
      others.push((await api.get('/prompt')).status);
      await until(() => true);
    }
    expect((await previews).map(({ status }) => status)).toEqual(new Array(8).fill(200));
    expect(new Set(others)).toEqual(new Set([200]));
    const peak = readPeakMib(system.apis[0]!);
    if (peak !== undefined) expect(peak).toBeLessThan(API_MIB + 400);
  },
  JOB_MS,
);
