import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import sharp from 'sharp';
import { PictureError } from '../picture-error.ts';
import { pngChunk, SIGNATURE } from '../png/png-chunks.ts';
import { decodeFrames } from './decode-frames.ts';
import { readHeader } from './read-header.ts';

const LIMITS = { maxPixels: 1_000, setting: 'worker.maxPixels' };
const folder = await mkdtemp(join(tmpdir(), 'tiercel-header-'));
afterAll(() => rm(folder, { recursive: true }));

const create = (width: number, height: number) =>
  sharp({ create: { width, height, channels: 3, background: 'red' } });
const png = await create(10, 10).png().toBuffer();
const wide = await create(40, 30).png().toBuffer();

/** What a file is refused with, from memory and from the disk. */
async function refusalOf(name: string, content: Buffer): Promise<PictureError> {
  const path = join(folder, 'file');
  await writeFile(path, content);
  const refusals: PictureError[] = [];
  for (const source of [content, path]) {
    const error: unknown = await readHeader({ name, content: source }, LIMITS).catch(
      (failure: unknown) => failure,
    );
    if (!(error instanceof PictureError)) throw new Error(`not refused: ${String(error)}`);
    refusals.push(error);
  }
  expect(refusals[1]?.message).toBe(refusals[0]?.message);
  return refusals[0]!;
}

describe('a picture that cannot be used is refused by one of four sentences with its name', () => {
  test.each([
    ['nothing.png', Buffer.alloc(0), 'empty', 'nothing.png is an empty file.'],
    ['notes.png', Buffer.from('hello'), 'unknown_format', 'notes.png is not a picture of a known'],
    [
      'clip.jpg',
      Buffer.from('\0\0\0\x18ftypmp42\0\0\0\0mp42', 'latin1'),
      'unknown_format',
      'clip.jpg',
    ],
    [
      'photo.heic',
      Buffer.from('\0\0\0\x18ftypheic\0\0\0\0mif1', 'latin1'),
      'unknown_format',
      'AVIF',
    ],
    ['sub/cut.png', png.subarray(0, 20), 'unreadable', 'sub/cut.png cannot be read: its PNG data'],
    [
      'cut.jpg',
      Buffer.from('\xff\xd8\xff\xe0', 'latin1'),
      'unreadable',
      'its JPEG data is damaged',
    ],
    ['odd.bmp', Buffer.from('BM and nothing of the kind'), 'unreadable', 'its BMP data is damaged'],
    ['w.webp', Buffer.from('RIFF\x10\0\0\0WEBPVP8 '), 'unreadable', 'its WebP data is damaged'],
    ['g.gif', Buffer.from('GIF89a'), 'unreadable', 'its GIF data is damaged'],
    ['t.tif', Buffer.from('II*\0\x08\0\0\0'), 'unreadable', 'its TIFF data is damaged'],
    [
      'wide.png',
      wide,
      'too_large',
      '1,200 pixels (40x30), more than the 1,000 allowed here (worker.maxPixels)',
    ],
  ] as const)('%s', async (name, content, problem, words) => {
    const error = await refusalOf(name, content);
    expect(error.problem).toBe(problem);
    expect(error.message).toContain(name);
    expect(error.message).toContain(words);
    expect(error.message).toMatch(/\.$/);
    expect(error.message).not.toContain(folder);
  });

  test('a size is judged before a pixel is decoded: 255 KB that would be gigabytes', async () => {
    const header = Buffer.alloc(13);
    header.writeUInt32BE(16_383, 0);
    header.writeUInt32BE(16_383, 4);
    header.set([8, 2, 0, 0, 0], 8);
    // No pixels at all: who tried to decode it would say something else.
    const bomb = Buffer.concat([
      ...[SIGNATURE, pngChunk('IHDR', header), pngChunk('IDAT', Buffer.alloc(255_000))],
      pngChunk('IEND'),
    ]);
    const error = await refusalOf('bomb.png', bomb);
    expect(error.message).toContain('bomb.png has 268,402,689 pixels (16383x16383)');
  });

  test('all frames count, and sides have an end', async () => {
    const frames = await sharp(Buffer.alloc(10 * 150 * 3, 7), {
      raw: { width: 10, height: 150, channels: 3, pageHeight: 10 },
    })
      .gif({ reuse: false, interFrameMaxError: 0, keepDuplicateFrames: true })
      .toBuffer();
    expect((await refusalOf('many.gif', frames)).message).toContain(
      '1,500 pixels (15 frames of 10x10)',
    );
    const long = Buffer.alloc(54);
    long.write('BM');
    long.writeUInt32LE(40, 14);
    long.writeInt32LE(70_000, 18);
    long.writeInt32LE(1, 22);
    long.writeUInt16LE(24, 28);
    expect((await refusalOf('long.bmp', long)).message).toContain('sides of more than 65,535');
  });
});

describe('only pictures are decoded, whatever a file is called', () => {
  const svg =
    '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9"/></svg>';
  test.each([
    ['an SVG', svg],
    ['an SVG with a declaration', `<?xml version="1.0"?>${svg}`],
    ['an SVG behind spaces', `  \n${svg}`],
    ['a PDF', '%PDF-1.7\n1 0 obj'],
    ['a Netpbm picture', 'P6\n1 1\n255\n\xff\0\0'],
    ['a Radiance picture', '#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 1 +X 1\n'],
    ['a libvips picture', '\xb6\xa6\xf2\x08'.padEnd(100, '\0')],
  ])('%s is no picture', async (_, content) => {
    const error = await refusalOf('a.png', Buffer.from(content, 'latin1'));
    expect(error.problem).toBe('unknown_format');
  });

  test('the loader of SVG does not run even for who asks libvips itself', async () => {
    await expect(sharp(Buffer.from(svg)).metadata()).rejects.toThrow();
    await expect(sharp(png).metadata()).resolves.toMatchObject({ format: 'png' });
  });

  test('a format is told by the content', async () => {
    const webp = await create(4, 4).webp().toBuffer();
    const header = await readHeader({ name: 'a.png', content: webp }, LIMITS);
    expect(header.format).toBe('webp');
  });
});

test('a frame that cannot be decoded is refused by name', async () => {
  const broken = Buffer.from(await create(8, 8).webp().toBuffer());
  broken.fill(0xff, 30);
  const source = { name: 'broken.webp', content: broken };
  const read = async () => {
    for await (const { data } of decodeFrames(source, await readHeader(source, LIMITS))) {
      expect(data.length).toBeGreaterThan(0);
    }
  };
  await expect(read()).rejects.toMatchObject({
    problem: 'unreadable',
    message: expect.stringContaining('broken.webp cannot be read'),
  });
});
