import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { addPngText, readPngText } from '@tiercel/pictures';
import { FileStore } from '@tiercel/storage';
import { until } from '@tiercel/testkit';
import sharp from 'sharp';
import {
  createEditor,
  makeDataFolder,
  serveRoutes,
  type TestServer,
} from '../../http/serve-routes.test-helpers.ts';
import { createUploadRoutes } from './uploads.ts';

const MAX_UPLOAD_BYTES = 300_000;
const data = await makeDataFolder();
let server: TestServer;

beforeAll(async () => {
  const files = new FileStore(data.path);
  const limits = { maxUploadBytes: MAX_UPLOAD_BYTES, pictures: createEditor(10_000) };
  server = await serveRoutes(createUploadRoutes({ files: { of: () => files }, ...limits }));
});
afterAll(async () => {
  await server.close();
  await data.remove();
});

type Fields = Readonly<Record<string, string>>;

/** By hand and not by FormData, which would clean the file name. */
function multipart(filename: string | null, content: string | Uint8Array, fields: Fields) {
  const boundary = 'xBOUNDARYx';
  const parts: Uint8Array[] = [];
  if (filename !== null) {
    const head = `Content-Disposition: form-data; name="image"; filename="${filename}"\r\nContent-Type: image/png`;
    parts.push(Buffer.from(`--${boundary}\r\n${head}\r\n\r\n`));
    parts.push(Buffer.from(content), Buffer.from('\r\n'));
  }
  for (const [name, value] of Object.entries(fields)) {
    const head = `Content-Disposition: form-data; name="${name}"`;
    parts.push(Buffer.from(`--${boundary}\r\n${head}\r\n\r\n${value}\r\n`));
  }
  parts.push(Buffer.from(`--${boundary}--\r\n`));
  const headers = { 'Content-Type': `multipart/form-data; boundary=${boundary}` };
  return { headers, body: Buffer.concat(parts) };
}

function upload(filename: string | null, content: string | Uint8Array, fields: Fields = {}) {
  return server.send('POST', '/upload/image', multipart(filename, content, fields));
}

const halfDone = () => readdir(join(data.path, 'input', '.tiercel-tmp'));

describe('POST /upload/image', () => {
  test('names files as ComfyUI does', async () => {
    const nameOf = async (content: string, fields: Fields = {}) =>
      (await upload('a.png', content, fields)).json();
    const named = (name: string) => ({ name, subfolder: '', type: 'input' });
    expect(await nameOf('one')).toEqual(named('a.png'));
    expect(await nameOf('one')).toEqual(named('a.png'));
    expect(await nameOf('two')).toEqual(named('a (1).png'));
    expect(await nameOf('two', { overwrite: 'true' })).toEqual(named('a.png'));
    await expect(readFile(join(data.path, 'input', 'a.png'), 'utf8')).resolves.toBe('two');
    expect(await halfDone()).toEqual([]);
  });

  test('puts files where type and subfolder say, of any kind, with any name', async () => {
    const below = await upload('b.png', 'x', { subfolder: 'x/y', type: 'temp' });
    expect(below.json()).toEqual({ name: 'b.png', subfolder: 'x/y', type: 'temp' });
    const text = await upload('日本 (1).txt', 'x', { type: 'output' });
    expect(text.json()).toEqual({ name: '日本 (1).txt', subfolder: '', type: 'output' });
    await expect(readFile(join(data.path, 'output', '日本 (1).txt'), 'utf8')).resolves.toBe('x');
  });

  test('takes what fetch and FormData send', async () => {
    const form = new FormData();
    form.append('image', new Blob(['video']), 'clip.mp4');
    form.append('overwrite', '1');
    const answer = await fetch(`${server.url}/api/upload/image`, { method: 'POST', body: form });
    expect(await answer.json()).toEqual({ name: 'clip.mp4', subfolder: '', type: 'input' });
  });

  test.each([
    ['C:\\Users\\me\\Pictures\\one.png', 'one.png'],
    ['D:/photos/two.png', 'two.png'],
    ['\\\\server\\share\\three.png', 'three.png'],
    ['folder\\four.png', 'four.png'],
  ])('takes the last part of the path %j', async (filename, name) => {
    const answer = await upload(filename, 'x', { subfolder: 'paths' });
    expect(answer.json()).toEqual({ name, subfolder: 'paths', type: 'input' });
  });

  test('takes a subfolder that was written on Windows, and names it with slashes', async () => {
    const answer = await upload('w.png', 'x', { subfolder: 'w1\\w2\\' });
    expect(answer.json()).toEqual({ name: 'w.png', subfolder: 'w1/w2', type: 'input' });
    await expect(readFile(join(data.path, 'input', 'w1', 'w2', 'w.png'), 'utf8')).resolves.toBe(
      'x',
    );
  });

  test.each([
    ['gzip', 'gzip', gzipSync],
    ['x-gzip', 'x-gzip', gzipSync],
    ['deflate', 'zlib', deflateSync],
    ['deflate', 'raw', deflateRawSync],
    ['br', 'br', brotliCompressSync],
  ])('takes a form compressed with %s (%s)', async (encoding, form, compress) => {
    const content = randomBytes(100_000);
    const name = `${form}.bin`;
    const { headers, body } = multipart(name, content, { subfolder: 'packed' });
    const answer = await server.send('POST', '/upload/image', {
      headers: { ...headers, 'Content-Encoding': encoding },
      body: compress(body),
    });
    expect(answer.json()).toMatchObject({ name, subfolder: 'packed' });
    const stored = await readFile(join(data.path, 'input', 'packed', name));
    expect(stored.equals(content)).toBe(true);
  });

  test('refuses an encoding it does not know, damaged data, and a small form that grows too large', async () => {
    const { headers, body } = multipart('z.png', Buffer.alloc(3 * MAX_UPLOAD_BYTES), {});
    const send = (encoding: string, bytes: Uint8Array) =>
      server.send('POST', '/upload/image', {
        headers: { ...headers, 'Content-Encoding': encoding },
        body: bytes,
      });
    const unknown = await send('compress', body.subarray(0, 1_000));
    const damaged = await send('gzip', Buffer.from('this is no gzip at all'));
    const cut = await send('gzip', gzipSync(body).subarray(0, 100));
    const bomb = await send('gzip', gzipSync(body));
    expect([unknown, damaged, cut, bomb].map(({ status }) => status)).toEqual([415, 400, 400, 413]);
    expect(await halfDone()).toEqual([]);
  });

  test('takes parts and fields in base64 and quoted-printable', async () => {
    const content = randomBytes(70_000);
    const lines = (bytes: Uint8Array) =>
      Buffer.from(bytes).toString('base64').replace(/.{76}/g, '$&\r\n');
    const part = (head: string, encoding: string, text: string) =>
      `--b\r\nContent-Disposition: form-data; ${head}\r\n` +
      `Content-Transfer-Encoding: ${encoding}\r\n\r\n${text}\r\n`;
    const send = (parts: string) =>
      server.send('POST', '/upload/image', {
        headers: { 'Content-Type': 'multipart/form-data; boundary=b' },
        body: `${parts}--b--\r\n`,
      });
    const inBase64 = await send(
      part('name="subfolder"', 'base64', lines(Buffer.from('coded/ü'))) +
        part('name="image"; filename="a.bin"', 'BASE64', lines(content)),
    );
    expect(inBase64.json()).toEqual({ name: 'a.bin', subfolder: 'coded/ü', type: 'input' });
    const stored = await readFile(join(data.path, 'input', 'coded', 'ü', 'a.bin'));
    expect(stored.equals(content)).toBe(true);
    const quoted = await send(
      part('name="subfolder"', 'quoted-printable', 'co=\r\nded') +
        part(
          'name="image"; filename="q.txt"',
          'quoted-printable',
          `1=3D1 ${'long =\r\n'.repeat(20_000)}=C3=BC`,
        ),
    );
    expect(quoted.json()).toEqual({ name: 'q.txt', subfolder: 'coded', type: 'input' });
    await expect(readFile(join(data.path, 'input', 'coded', 'q.txt'), 'utf8')).resolves.toBe(
      `1=1 ${'long '.repeat(20_000)}ü`,
    );
    const unknown = await send(part('name="image"; filename="u.bin"', 'uuencode', 'x'));
    expect([unknown.status, unknown.json()]).toEqual([415, { error: 'unsupported_encoding' }]);
    const large = part('name="image"; filename="l.bin"', 'base64', lines(randomBytes(420_000)));
    expect((await send(large)).status).toBe(413);
    expect(await halfDone()).toEqual([]);
  });

  test.each([
    ['../evil.png', {}],
    ['..%2Fevil.png', {}],
    ['/evil.png', {}],
    ['..\\evil.png', {}],
    ['C:\\x\\..\\evil.png', {}],
    ['C:\\x\\', {}],
    ['c.png', { subfolder: '../../..' }],
    ['c.png', { subfolder: '..\\..' }],
    ['c.png', { subfolder: '/tmp' }],
    ['c.png', { subfolder: 'C:\\tmp' }],
    ['c.png', { subfolder: '\\\\server\\share' }],
    ['d.png', { type: 'bogus' }],
    [null, { other: 'x' }],
    ['', {}],
  ])('refuses %j with %j by a 400 that says why', async (filename, fields) => {
    const answer = await upload(filename, 'x', fields);
    expect([answer.status, answer.json()]).toEqual([400, { error: 'bad_request' }]);
    expect(await halfDone()).toEqual([]);
  });

  test('refuses what is no form, or not a whole one', async () => {
    const plain = await server.send('POST', '/upload/image', { body: 'hello' });
    expect(plain.status).toBe(400);
    const { headers, body } = multipart('half.png', 'x'.repeat(1000), {});
    const half = await server.send('POST', '/upload/image', {
      headers,
      body: body.subarray(0, 500),
    });
    expect(half.status).toBe(400);
    expect(await halfDone()).toEqual([]);
    expect(await readdir(join(data.path, 'input'))).not.toContain('half.png');
  });

  test('refuses files over the limit, and forms with too many or too long fields', async () => {
    const fit = await upload('fits.png', Buffer.alloc(MAX_UPLOAD_BYTES));
    expect(fit.status).toBe(200);
    const many = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`f${i}`, 'x']));
    const refused = [
      await upload('big.png', Buffer.alloc(MAX_UPLOAD_BYTES + 1)),
      await upload('huge.png', Buffer.alloc(10 * MAX_UPLOAD_BYTES)),
      await upload('many.png', 'x', many),
      await upload('long.png', 'x', { subfolder: 'x'.repeat(100_000) }),
    ];
    for (const answer of refused) {
      expect(answer.status).toBe(413);
      expect(answer.json()).toEqual({ error: 'body_too_large' });
    }
    expect(await halfDone()).toEqual([]);
  });

  test('leaves no file when the client goes away', async () => {
    const { headers, body } = multipart('gone.png', Buffer.alloc(200_000), {});
    const options = { method: 'POST', path: '/upload/image', port: server.port, headers };
    const call = request({ ...options, host: '127.0.0.1', agent: false });
    call.on('error', () => undefined);
    call.setHeader('Content-Length', body.length);
    call.write(body.subarray(0, 150_000));
    await until(async () => (await halfDone()).length > 0);
    call.destroy();
    await until(async () => (await halfDone()).length === 0);
    expect(await readdir(join(data.path, 'input'))).not.toContain('gone.png');
  });
});

describe('POST /upload/mask', () => {
  const texts = new Map([['prompt', '{"seed": 18446744073709551615}']]);
  const picture = (background: { r: number; g: number; b: number; alpha: number }, width = 8) =>
    sharp({ create: { width, height: 4, channels: 4, background } })
      .png()
      .toBuffer();

  beforeAll(async () => {
    const red = await picture({ r: 250, g: 1, b: 2, alpha: 1 });
    await mkdir(join(data.path, 'input', 'x', 'y'), { recursive: true });
    await writeFile(join(data.path, 'input', 'x', 'y', 'm.png'), addPngText(red, texts));
    await writeFile(
      join(data.path, 'input', 'grey.png'),
      await sharp(red).removeAlpha().greyscale().toColourspace('b-w').png().toBuffer(),
    );
  });

  async function uploadMask(reference: unknown, mask: Uint8Array) {
    const text = typeof reference === 'string' ? reference : JSON.stringify(reference);
    const fields = { original_ref: text, subfolder: 'clipspace', type: 'input' };
    return server.send('POST', '/upload/mask', multipart('mask.png', mask, fields));
  }

  const stored = { filename: 'm.png', subfolder: 'x/y', type: 'input' };

  test('finds the picture by a reference that was written on Windows', async () => {
    const mask = await picture({ r: 0, g: 0, b: 0, alpha: 0.5 });
    for (const reference of [
      { ...stored, subfolder: 'x\\y' },
      { ...stored, subfolder: 'x\\y\\' },
    ]) {
      expect((await uploadMask(reference, mask)).status).toBe(200);
    }
    await rm(join(data.path, 'input', 'clipspace'), { recursive: true });
  });

  test("gives the picture the mask's alpha and keeps its colours and its text", async () => {
    const mask = await picture({ r: 0, g: 0, b: 0, alpha: 0.25 });
    const answer = await uploadMask(stored, mask);
    expect(answer.json()).toEqual({ name: 'mask.png', subfolder: 'clipspace', type: 'input' });
    const result = await readFile(join(data.path, 'input', 'clipspace', 'mask.png'));
    const { data: raw, info } = await sharp(result).raw().toBuffer({ resolveWithObject: true });
    expect(info).toMatchObject({ width: 8, height: 4, channels: 4 });
    expect([...raw.subarray(0, 4)]).toEqual([250, 1, 2, 64]);
    expect(readPngText(result)).toEqual(texts);
    expect(await halfDone()).toEqual([]);
  });

  test('takes grey pictures, and masks without alpha for opaque ones', async () => {
    const opaque = await sharp(await picture({ r: 0, g: 0, b: 0, alpha: 1 }))
      .jpeg()
      .toBuffer();
    const answer = await uploadMask({ filename: 'grey.png [input]' }, opaque);
    expect(answer.json()).toMatchObject({ name: 'mask (1).png' });
    const result = await readFile(join(data.path, 'input', 'clipspace', 'mask (1).png'));
    const raw = await sharp(result).raw().toBuffer();
    expect(raw[3]).toBe(255);
    expect(raw[0]).toBe(raw[1]);
  });

  test.each([
    [400, 'not json'],
    [400, '[]'],
    [400, { filename: '../m.png', type: 'input' }],
    [400, { filename: 'm.png', type: 'bogus' }],
    [400, {}],
    [403, { ...stored, subfolder: '../..' }],
    [404, { ...stored, filename: 'nope.png' }],
  ])('answers %i to the reference %j', async (status, reference) => {
    const answer = await uploadMask(reference, await picture({ r: 0, g: 0, b: 0, alpha: 1 }));
    const code = { 400: 'bad_request', 403: 'path_refused' }[status];
    expect(answer.status).toBe(status);
    expect(answer.text).toBe(code === undefined ? '' : JSON.stringify({ error: code }));
    expect(await halfDone()).toEqual([]);
  });

  test('takes a mask of the upright picture for a photo that lies on its side', async () => {
    const photo = await sharp(await picture({ r: 9, g: 9, b: 9, alpha: 1 }))
      .withMetadata({ orientation: 6 })
      .jpeg()
      .toBuffer();
    await writeFile(join(data.path, 'input', 'phone.jpg'), photo);
    const mask = await sharp({
      create: { width: 4, height: 8, channels: 4, background: { r: 0, g: 0, b: 0, alpha: 0.5 } },
    })
      .png()
      .toBuffer();
    const answer = await uploadMask({ filename: 'phone.jpg', type: 'input' }, mask);
    expect(answer.status).toBe(200);
    const { name } = answer.json() as { name: string };
    const result = await readFile(join(data.path, 'input', 'clipspace', name));
    expect(await sharp(result).metadata()).toMatchObject({ width: 4, height: 8, channels: 4 });
  });

  const opaque = () => picture({ r: 0, g: 0, b: 0, alpha: 1 });
  test.each([
    [
      'of another size',
      400,
      () => picture({ r: 0, g: 0, b: 0, alpha: 1 }, 9),
      'mask.png is 9x4, m.png is 8x4',
    ],
    [
      'of too many pixels',
      413,
      () => picture({ r: 0, g: 0, b: 0, alpha: 1 }, 9000),
      'mask.png has 36,000 pixels',
    ],
    [
      'that are no picture',
      400,
      () => Promise.resolve(Buffer.from('hello')),
      'mask.png is not a picture',
    ],
    ['that are empty', 400, () => Promise.resolve(Buffer.alloc(0)), 'mask.png is an empty file.'],
    [
      'that are damaged',
      400,
      async () => (await opaque()).subarray(0, 30),
      'mask.png cannot be read',
    ],
    [
      'that are SVG',
      400,
      () =>
        Promise.resolve(
          Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="8" height="4"/>'),
        ),
      'mask.png is not a picture',
    ],
  ])('refuses masks %s with %i and says what is wrong', async (_, status, make, words) => {
    const answer = await uploadMask(stored, await make());
    expect(answer.status).toBe(status);
    expect(decodeURIComponent(String(answer.headers['x-message']))).toContain(words);
    expect(await halfDone()).toEqual([]);
  });

  test('refuses originals that are no pictures by their name', async () => {
    await writeFile(join(data.path, 'input', 'notes.txt'), 'hello');
    const answer = await uploadMask({ filename: 'notes.txt', type: 'input' }, await opaque());
    expect(answer.status).toBe(400);
    expect(decodeURIComponent(String(answer.headers['x-message']))).toContain('notes.txt is not a');
  });
});
