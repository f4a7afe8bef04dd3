import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import sharp from 'sharp';
import { onStopEverything, serveHttp, stopEverything, until } from '@tiercel/testkit';
import { readLinkedPicture, type LinkContext } from './linked-picture.ts';
import { isPublicAddress } from './public-address.ts';

let png: Buffer;
/** The tier's own server, and another of this machine's network. */
let own: string;
let foreign: string;
const seen: string[] = [];

beforeAll(async () => {
  png = await sharp({ create: { width: 8, height: 8, channels: 3, background: 'red' } })
    .png()
    .toBuffer();
  own = await serveOn('127.0.0.1', 'own');
  foreign = await serveOn('127.0.0.2', 'foreign');
});
afterAll(stopEverything);

/** Serves a picture at `/picture`, redirects from `/to?<url>`, and notes who was asked. */
async function serveOn(host: string, name: string): Promise<string> {
  const listener: RequestListener = (request, response) => {
    const { pathname, search } = new URL(request.url ?? '', 'http://any');
    seen.push(`${name} ${pathname}`);
    const location = decodeURIComponent(search.slice(1));
    if (pathname === '/to') response.writeHead(302, { location }).end();
    else if (pathname.endsWith('/picture')) response.end(png);
    else if (pathname === '/slow') response.write(png.subarray(0, 9));
    else response.writeHead(404).end('no such file');
  };
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  onStopEverything(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://${host}:${(server.address() as AddressInfo).port}`;
}

function read(link: string, more: Partial<LinkContext> = {}): Promise<Uint8Array> {
  const { signal } = new AbortController();
  const asked = new URL(`${own}/v1/images/generations`);
  return readLinkedPicture(link, { vendor: 'Vendor', asked, signal, ...more });
}

describe('a link of an answer', () => {
  it('is followed to the own host of the tier, by whatever name and port, and relative to what was asked', async () => {
    const { url: elsewhere } = await serveHttp((_, response) => response.end(png));
    const { port } = new URL(own);
    const links = [
      ...[`${own}/picture`, '/picture', 'picture', `//127.0.0.1:${port}/picture`],
      ...[`http://localhost:${port}/picture`, `http://2130706433:${port}/picture`],
      ...[`${elsewhere}/picture`, `${own}/to?${encodeURIComponent('/picture')}`],
    ];
    for (const link of links) await expect(read(link)).resolves.toEqual(png);
    expect(seen).toContain('own /v1/images/picture');
  });

  it('may carry the picture itself', async () => {
    const link = `data:image/png;base64,${png.toString('base64')}`;
    await expect(read(link)).resolves.toEqual(png);
    await expect(read('data:image/png;base64,')).rejects.toMatchObject({ class: 'bad_output' });
  });

  it('never leads to other private addresses, however they are written', async () => {
    seen.length = 0;
    const { port } = new URL(foreign);
    for (const link of [
      ...[`${foreign}/picture`, `http://2130706434:${port}/picture`, `http://0x7f.2:${port}/`],
      ...[`https://127.0.0.2:${port}/picture`, `http://[::ffff:127.0.0.2]:${port}/picture`],
      ...['http://169.254.169.254/latest/meta-data', 'https://[fd00::1]/', 'http://0.0.0.0/'],
      ...[`${own}/to?${encodeURIComponent(`${foreign}/picture`)}`],
      ...[`http://me:secret@127.0.0.2:${port}/picture`],
    ]) {
      await expect(read(link)).rejects.toMatchObject({
        class: 'bad_output',
        message: expect.stringContaining('the URL of another server'),
      });
    }
    expect(seen).toEqual(['own /to']);
  });

  it('is not followed by a name that stands for a private address', async () => {
    // A name of this machine; the tier's own host is another one.
    const asked = new URL('https://images.example/v1/images');
    const { port } = new URL(own);
    seen.length = 0;
    for (const scheme of ['http', 'https']) {
      await expect(read(`${scheme}://localhost:${port}/picture`, { asked })).rejects.toMatchObject({
        class: 'bad_output',
        message: expect.stringContaining('the URL of another server'),
      });
    }
    expect(seen).toEqual([]);
  });

  it.each([
    ['file:///etc/passwd', 'neither http nor https'],
    ['http://[', 'cannot be read'],
    ['/nothing', 'is not there (404)'],
    ['/to?/nothing', 'is not there (404)'],
    ['http://127.0.0.1:1/picture', 'does not give the picture'],
  ])('is no picture: %s', async (link, words) => {
    await expect(read(link)).rejects.toMatchObject({
      class: 'bad_output',
      message: expect.stringContaining(words),
    });
  });

  it('leads on for a few redirects only', async () => {
    const { url } = await serveHttp((_, response) =>
      response.writeHead(302, { location: '/again' }).end(),
    );
    await expect(read(`${url}/first`)).rejects.toThrow('leads on and on');
  });

  it('gives no more bytes, and takes no more time, than it may', async () => {
    await expect(read('/picture', { maxBytes: png.length - 1 })).rejects.toThrow('over');
    const stop = new AbortController();
    const slow = read('/slow', { signal: stop.signal });
    await until(() => seen.includes('own /slow'));
    stop.abort(new Error('too late'));
    await expect(slow).rejects.toThrow('too late');
  });
});

it.each([
  ['8.8.8.8', true],
  ['172.15.0.1', true],
  ['2606:4700::1111', true],
  ['10.1.2.3', false],
  ['172.31.255.255', false],
  ['192.168.0.1', false],
  ['100.64.0.1', false],
  ['169.254.169.254', false],
  ['127.8.8.8', false],
  ['224.0.0.1', false],
  ['255.255.255.255', false],
  ['::', false],
  ['::1', false],
  ['::ffff:8.8.8.8', false],
  ['64:ff9b::a00:1', false],
  ['2002:a00:1::', false],
  ['fe80::1', false],
  ['fd12::1', false],
  ['no address', false],
])('whether %s is an address of the public internet: %p', (address, expected) => {
  expect(isPublicAddress(address)).toBe(expected);
});
