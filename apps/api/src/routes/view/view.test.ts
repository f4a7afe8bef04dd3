import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { FileStore } from '@tiercel/storage';
import sharp from 'sharp';
import {
  createEditor,
  makeDataFolder,
  serveRoutes,
  type TestServer,
} from '../../http/serve-routes.test-helpers.ts';
import { createViewRoutes } from './view.ts';

const data = await makeDataFolder();
const alphaPicture = await sharp({
  create: { width: 32, height: 24, channels: 4, background: { r: 200, g: 10, b: 10, alpha: 0.5 } },
})
  .png()
  .toBuffer();

/** 2x1, blue and red, of 24 bits. */
const bmp = Buffer.alloc(62);
bmp.write('BM');
bmp.writeUInt32LE(54, 10);
bmp.writeUInt32LE(40, 14);
bmp.writeInt32LE(2, 18);
bmp.writeInt32LE(1, 22);
bmp.writeUInt16LE(24, 28);
bmp.set([255, 0, 0, 0, 0, 255], 54);

let server: TestServer;
const get = (path: string, headers: Record<string, string> = {}) =>
  server.send('GET', path, { headers });

beforeAll(async () => {
  await mkdir(join(data.path, 'input', 'x', 'y'), { recursive: true });
  await mkdir(join(data.path, 'output'));
  const input = (name: string) => join(data.path, 'input', name);
  await writeFile(input('a.png'), alphaPicture);
  await writeFile(input('x/y/b.png'), alphaPicture);
  await writeFile(input('note.txt'), 'hello');
  await writeFile(input('sound.flac'), 'fLaC');
  await writeFile(input('page.html'), '<script>alert(1)</script>');
  await writeFile(input('picture.svg'), '<svg xmlns="http://www.w3.org/2000/svg"/>');
  await writeFile(input('LOGO.SVG'), '<svg xmlns="http://www.w3.org/2000/svg"/>');
  await writeFile(input('picture.svgz'), 'not unpacked');
  await writeFile(input('empty.png'), '');
  await writeFile(input('cut.png'), alphaPicture.subarray(0, 20));
  await writeFile(input('a.bmp'), bmp);
  await writeFile(input('猫 "q"\r\nx.png'), alphaPicture);
  await symlink('/etc/passwd', input('link.txt'));
  await writeFile(
    input('wide.png'),
    await sharp({ create: { width: 200, height: 200, channels: 3, background: 'red' } })
      .png()
      .toBuffer(),
  );
  const files = new FileStore(data.path);
  server = await serveRoutes(
    createViewRoutes({ files: { of: () => files }, pictures: createEditor(10_000) }),
  );
});
afterAll(async () => {
  await server.close();
  await data.remove();
});

describe('GET /view', () => {
  test.each([['/view'], ['/api/view']])('%s serves a stored file as it is', async (path) => {
    const answer = await get(`${path}?filename=a.png&type=input&rand=0.5`);
    expect(answer.status).toBe(200);
    expect(answer.bytes.equals(alphaPicture)).toBe(true);
    expect(answer.headers).toMatchObject({
      'content-type': 'image/png',
      'content-disposition': 'filename="a.png"',
      'content-length': String(alphaPicture.length),
      'x-content-type-options': 'nosniff',
      'accept-ranges': 'bytes',
    });
    expect(answer.headers.etag).toMatch(/^"[\da-f]+-[\da-f]+"$/);
    expect(answer.headers['last-modified']).toMatch(/GMT$/);
    expect(answer.headers['cache-control']).toBeUndefined();
  });

  test.each([
    ['filename=b.png&subfolder=x%2Fy&type=input'],
    ['filename=a.png%20[input]'],
    ['filename=a.png+[input]&type=temp'],
    ['filename=sub/a.png&type=input'],
    ['filename=b.png&subfolder=x%5Cy&type=input'],
    ['filename=sub%5Ca.png&type=input'],
    ['filename=b.png&subfolder=x%5Cy%5C&type=input'],
  ])('finds the picture by %s', async (query) => {
    const answer = await get(`/view?${query}`);
    expect(answer.status).toBe(200);
    expect(answer.bytes.equals(alphaPicture)).toBe(true);
  });

  test.each([
    [400, 'filename=..%2Fa.png&type=input'],
    [400, 'filename=%2Fetc%2Fpasswd&type=input'],
    [400, 'filename=a.png&type=bogus'],
    [400, 'filename='],
    [403, 'filename=a.png&subfolder=..%2F..&type=input'],
    [403, 'filename=a.png&subfolder=%2Fetc&type=input'],
    [403, 'filename=a.png&subfolder=..%5C..&type=input'],
    [403, 'filename=a.png&subfolder=%252e%252e&type=input'],
    [403, 'filename=a%00.png&type=input'],
    [403, 'filename=link.txt&type=input'],
    [403, 'filename=a.png&subfolder=C%3A%5CWindows&type=input'],
    [400, 'filename=..%5Ca.png&type=input'],
  ])('answers %i and says why to %s', async (status, query) => {
    const answer = await get(`/view?${query}`);
    expect(answer.status).toBe(status);
    expect(answer.json()).toEqual({ error: status === 400 ? 'bad_request' : 'path_refused' });
  });

  test.each([
    ['filename=a.png'],
    ['filename=x&type=input'],
    ['type=input'],
    ['filename=nope.png&type=input'],
  ])('answers 404 without a body to %s', async (query) => {
    const answer = await get(`/view?${query}`);
    expect(answer).toMatchObject({ status: 404, text: '' });
    expect(answer.headers['content-type']).toBeUndefined();
  });

  test('serves parts, and nothing when the client has the file already', async () => {
    const path = '/view?filename=note.txt&type=input';
    const whole = await get(path);
    expect(whole.headers['content-type']).toBe('text/plain');
    expect(whole.text).toBe('hello');
    const part = await get(path, { Range: 'bytes=1-3' });
    expect(part).toMatchObject({ status: 206, text: 'ell' });
    expect(part.headers['content-range']).toBe('bytes 1-3/5');
    const etag = whole.headers.etag ?? '';
    const resumed = await get(path, { Range: 'bytes=1-3', 'If-Range': etag });
    expect(resumed.status).toBe(206);
    const cached = await get(path, { 'If-None-Match': etag });
    expect(cached).toMatchObject({ status: 304, text: '' });
    const beyond = await get(path, { Range: 'bytes=9-' });
    expect(beyond).toMatchObject({ status: 416, text: '' });
    expect(beyond.headers['content-range']).toBe('bytes */5');
    const head = await server.send('HEAD', path);
    expect(head).toMatchObject({ status: 200, text: '' });
    expect(head.headers['content-length']).toBe('5');
  });

  test('names FLAC audio as ComfyUI does', async () => {
    const answer = await get('/view?filename=sound.flac&type=input');
    expect(answer.headers['content-type']).toBe('audio/flac');
  });

  test.each([
    ['page.html', {}],
    ['page.html', { 'Sec-Fetch-Dest': 'image' }],
    ['picture.svg', {}],
    ['picture.svg', { 'Sec-Fetch-Dest': 'document' }],
    ['picture.svg', { 'Sec-Fetch-Dest': 'iframe' }],
    ['picture.svg', { 'Sec-Fetch-Dest': 'object' }],
    ['picture.svgz', { 'Sec-Fetch-Dest': 'image' }],
  ])(
    'hands %s out as a download that no browser runs: %j',
    async (name, headers: Record<string, string>) => {
      const answer = await get(`/view?filename=${name}&type=input`, headers);
      expect(answer.status).toBe(200);
      expect(answer.headers).toMatchObject({
        'content-type': 'application/octet-stream',
        'content-disposition': `attachment; filename="${name}"`,
        'x-content-type-options': 'nosniff',
      });
    },
  );

  test.each([['picture.svg'], ['LOGO.SVG']])(
    'shows %s as a picture where it is one, and sees to it that nothing in it runs',
    async (name) => {
      const path = `/view?filename=${name}&type=input`;
      const shown = await get(path, { 'Sec-Fetch-Dest': 'image' });
      expect(shown.status).toBe(200);
      expect(shown.text).toContain('<svg');
      expect(shown.headers).toMatchObject({
        'content-type': 'image/svg+xml',
        'content-disposition': `filename="${name}"`,
        'x-content-type-options': 'nosniff',
        vary: 'Sec-Fetch-Dest',
      });
      const policy = shown.headers['content-security-policy'] as string | undefined;
      expect(policy?.split(/; */)).toEqual(
        expect.arrayContaining(["default-src 'none'", 'sandbox']),
      );
      expect(policy).not.toContain('script');
      // A cache may not give one for the other.
      const download = await get(path);
      expect(download.headers.vary).toBe('Sec-Fetch-Dest');
      expect(download.headers.etag).not.toBe(shown.headers.etag);
      const asked = { 'Sec-Fetch-Dest': 'image', 'If-None-Match': shown.headers.etag ?? '' };
      expect((await get(path, asked)).status).toBe(304);
    },
  );

  test('lets no file name break out of the header', async () => {
    const name = encodeURIComponent('猫 "q"\r\nx.png');
    const answer = await get(`/view?filename=${name}&type=input`);
    expect(answer.status).toBe(200);
    expect(answer.headers['content-disposition']).toBe(
      `filename="_ _q___x.png"; filename*=UTF-8''%E7%8C%AB%20%22q%22%0D%0Ax.png`,
    );
  });
});

describe('GET /view with a wish', () => {
  test.each([
    ['preview=webp;50', 'webp', 4],
    ['preview=jpeg;80', 'jpeg', 3],
    ['preview=jpeg', 'jpeg', 3],
    ['preview=png', 'webp', 4],
    ['preview=', 'webp', 4],
    ['preview=jpeg;999&channel=rgba', 'webp', 4],
    ['preview=webp&channel=rgb', 'webp', 3],
    ['channel=rgb', 'png', 3],
    ['channel=a', 'png', 4],
    ['channel=rgba', 'png', 4],
  ])('for %s sends %s with %i channels', async (wish, format, channels) => {
    const answer = await get(`/view?filename=a.png&type=input&${wish}`);
    expect(answer.status).toBe(200);
    expect(answer.headers['content-type']).toBe(`image/${format}`);
    expect(answer.headers['content-disposition']).toBe('filename="a.png"');
    const meta = await sharp(answer.bytes).metadata();
    expect(meta).toMatchObject({ format, channels, width: 32, height: 24 });
  });

  test('channel=rgb keeps the colours and channel=a keeps the alpha on black', async () => {
    const pixel = async (channel: string) => {
      const answer = await get(`/view?filename=a.png&type=input&channel=${channel}`);
      return [...(await sharp(answer.bytes).raw().toBuffer()).subarray(0, 4)];
    };
    expect((await pixel('rgb')).slice(0, 3)).toEqual([200, 10, 10]);
    expect(await pixel('a')).toEqual([0, 0, 0, 128]);
  });

  test.each([
    ['preview=webp', 413, 'image_too_large', 'wide.png', 'wide.png has 40,000 pixels (200x200)'],
    ['channel=rgb', 413, 'image_too_large', 'wide.png', 'the 10,000 allowed here (api.maxPixels)'],
    ['preview=jpeg', 400, 'bad_request', 'empty.png', 'empty.png is an empty file.'],
    ['channel=a', 400, 'bad_request', 'note.txt', 'note.txt is not a picture of a known format'],
    ['preview=webp', 400, 'bad_request', 'picture.svg', 'picture.svg is not a picture of a known'],
    [
      'channel=rgb',
      400,
      'bad_request',
      'cut.png',
      'cut.png cannot be read: its PNG data is damaged',
    ],
  ])(
    'for %s refuses with %i (%s) what cannot be encoded: %s',
    async (wish, status, code, name, words) => {
      const answer = await get(`/view?filename=${name}&type=input&${wish}`);
      expect(answer.status).toBe(status);
      expect(answer.json()).toEqual({ error: code });
      const message = decodeURIComponent(String(answer.headers['x-message']));
      expect(message).toContain(words);
      expect(message).not.toContain(data.path);
      expect((await get(`/view?filename=${name}&type=input`)).status).toBe(200);
    },
  );

  test('decodes a BMP', async () => {
    const answer = await get('/view?filename=a.bmp&type=input&channel=rgb');
    const raw = await sharp(answer.bytes).raw().toBuffer();
    expect([...raw]).toEqual([0, 0, 255, 255, 0, 0]);
  });
});

describe('GET /view of a photo that lies on its side', () => {
  /** 6x4, white in one corner; alpha in a row. */
  const stored = Buffer.alloc(6 * 4 * 4, 255);
  for (let i = 0; i < 24; i += 1) stored.fill(0, i * 4, i * 4 + 3);
  stored.fill(255, 0, 3);
  for (let x = 0; x < 6; x += 1) stored[(18 + x) * 4 + 3] = 100;

  /** Where the white corner is once the picture is upright: right, bottom. */
  const cases = [
    [1, 6, 4, 0, 0],
    [2, 6, 4, 1, 0],
    [3, 6, 4, 1, 1],
    [4, 6, 4, 0, 1],
    [5, 4, 6, 0, 0],
    [6, 4, 6, 1, 0],
    [7, 4, 6, 1, 1],
    [8, 4, 6, 0, 1],
  ] as const;

  test.each(cases)(
    'encodes orientation %i upright',
    async (orientation, width, height, right, bottom) => {
      const file = await sharp(stored, { raw: { width: 6, height: 4, channels: 4 } })
        .withMetadata({ orientation })
        .png()
        .toBuffer();
      await writeFile(join(data.path, 'input', 'phone.png'), file);
      const path = '/view?filename=phone.png&type=input';
      for (const wish of ['preview=webp;100', 'preview=jpeg', 'channel=rgb', 'channel=a']) {
        const answer = await get(`${path}&${wish}`);
        const { data: raw, info } = await sharp(answer.bytes)
          .raw()
          .toBuffer({ resolveWithObject: true });
        expect([wish, info.width, info.height]).toEqual([wish, width, height]);
        expect((await sharp(answer.bytes).metadata()).orientation ?? 1).toBe(1);
        const corner = (right * (width - 1) + bottom * (height - 1) * width) * info.channels;
        if (wish === 'channel=rgb')
          expect([...raw.subarray(corner, corner + 3)]).toEqual([255, 255, 255]);
        if (wish === 'channel=a') expect(raw[corner + 3]).toBe(255);
      }
      // The file itself is sent as it is.
      expect((await get(path)).bytes.equals(file)).toBe(true);
    },
  );
});

describe('pictures that are encoded at once', () => {
  test('have a limit: who comes when there is no room waits, and is served', async () => {
    const big = await sharp({ create: { width: 99, height: 99, channels: 3, background: 'red' } })
      .png()
      .toBuffer();
    await writeFile(join(data.path, 'input', 'big.png'), big);
    // Room for one of them at a time.
    const narrow = await serveRoutes(
      createViewRoutes({
        files: { of: () => new FileStore(data.path) },
        pictures: createEditor(10_000, 200_000),
      }),
    );
    const path = '/view?filename=big.png&type=input&preview=webp';
    const answers = await Promise.all(Array.from({ length: 8 }, () => narrow.send('GET', path)));
    expect(answers.map(({ status }) => status)).toEqual(new Array(8).fill(200));
    await narrow.close();
  });

  test('are refused when they would take more than there may be', async () => {
    const tiny = await serveRoutes(
      createViewRoutes({
        files: { of: () => new FileStore(data.path) },
        pictures: createEditor(10_000, 20_000),
      }),
    );
    const answer = await tiny.send('GET', '/view?filename=big.png&type=input&preview=webp');
    expect(answer.status).toBe(413);
    expect(answer.json()).toEqual({ error: 'image_too_large' });
    expect(decodeURIComponent(String(answer.headers['x-message']))).toContain(
      'api.pictureMemoryBytes',
    );
    await tiny.close();
  });
});
