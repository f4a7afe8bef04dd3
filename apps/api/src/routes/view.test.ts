import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { FileStore } from '@tiercel/storage';
import sharp from 'sharp';
import { createViewRoutes } from './view.ts';
import { makeDataFolder, serveRoutes, type TestServer } from './view.test-server.ts';

const data = await makeDataFolder();
const alphaPicture = await sharp({
  create: { width: 32, height: 24, channels: 4, background: { r: 200, g: 10, b: 10, alpha: 0.5 } },
})
  .png()
  .toBuffer();

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
  await writeFile(input('猫 "q"\r\nx.png'), alphaPicture);
  await symlink('/etc/passwd', input('link.txt'));
  await writeFile(
    input('wide.png'),
    await sharp({ create: { width: 200, height: 200, channels: 3, background: 'red' } })
      .png()
      .toBuffer(),
  );
  const files = new FileStore(data.path);
  server = await serveRoutes(createViewRoutes({ files, maxPixels: 10_000 }));
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

  test.each([['page.html'], ['picture.svg']])(
    'hands %s out as a download that no browser runs',
    async (name) => {
      const answer = await get(`/view?filename=${name}&type=input`);
      expect(answer.status).toBe(200);
      expect(answer.headers).toMatchObject({
        'content-type': 'application/octet-stream',
        'content-disposition': `attachment; filename="${name}"`,
        'x-content-type-options': 'nosniff',
      });
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

  test('refuses pictures above the limit and what is no picture', async () => {
    const big = await get('/view?filename=wide.png&type=input&preview=webp');
    expect(big.status).toBe(413);
    expect(big.json()).toEqual({ error: 'image_too_large' });
    expect((await get('/view?filename=wide.png&type=input')).status).toBe(200);
    for (const name of ['note.txt', 'picture.svg']) {
      const answer = await get(`/view?filename=${name}&type=input&preview=webp`);
      expect(answer.status).toBe(400);
    }
  });
});
