import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { afterAll, describe, expect, test } from '@jest/globals';
import sharp from 'sharp';
import { addPngText, readPngText, readTextChunks, replaceTextChunks } from './png-text.ts';

const plain = await sharp({ create: { width: 2, height: 2, channels: 4, background: 'red' } })
  .png()
  .toBuffer();
const texts = new Map([
  ['prompt', '{"seed": 18446744073709551615}'],
  ['workflow', '猫 {"a": 1}'],
]);

const folder = await mkdtemp(join(tmpdir(), 'tiercel-png-'));
let written = 0;
async function write(file: Uint8Array): Promise<string> {
  const path = join(folder, `${(written += 1)}.png`);
  await writeFile(path, file);
  return path;
}
afterAll(() => rm(folder, { recursive: true }));

describe('PNG text', () => {
  test('that was added is read back, also by libpng', async () => {
    const png = addPngText(plain, texts);
    expect(readPngText(png)).toEqual(texts);
    const { comments } = await sharp(png).metadata();
    expect(comments).toContainEqual({ keyword: 'prompt', text: texts.get('prompt') });
    await expect(sharp(png).raw().toBuffer()).resolves.toEqual(await sharp(plain).raw().toBuffer());
  });

  test('is copied from a file to another picture in place of its own', async () => {
    const own = addPngText(plain, new Map([['prompt', 'old']]));
    const chunks = await readTextChunks(await write(addPngText(plain, texts)));
    const copied = Buffer.concat(replaceTextChunks(own, chunks));
    expect(readPngText(copied)).toEqual(texts);
    expect(await sharp(copied).raw().toBuffer()).toEqual(await sharp(plain).raw().toBuffer());
  });

  test('is read when it is compressed', () => {
    const png = addPngText(plain, new Map([['Comment', 'x'.repeat(30)]]));
    const at = Buffer.from(png).indexOf('tEXt') - 4;
    const compressed = deflateSync(Buffer.from('unpacked'));
    const data = Buffer.concat([Buffer.from('zTXtKey\0\0', 'latin1'), compressed]);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(data.length - 4);
    const chunk = Buffer.concat([length, data, Buffer.alloc(4)]);
    const mixed = Buffer.concat([png.subarray(0, at), chunk, png.subarray(at)]);
    expect(readPngText(mixed).get('Key')).toBe('unpacked');
  });

  test('of something else than a whole PNG is none', async () => {
    for (const file of [Buffer.from('hello'), plain.subarray(0, 20), Buffer.alloc(0)]) {
      expect(readPngText(file).size).toBe(0);
      expect(await readTextChunks(await write(file))).toEqual([]);
      expect(replaceTextChunks(file, [])).toEqual([file]);
    }
    const cut = addPngText(plain, texts).subarray(0, 60);
    expect(await readTextChunks(await write(cut))).toEqual([]);
  });
});
