import { deflateSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import sharp from 'sharp';
import { addPngText, copyPngText, readPngText } from './png-text.ts';

const plain = await sharp({ create: { width: 2, height: 2, channels: 4, background: 'red' } })
  .png()
  .toBuffer();
const texts = new Map([
  ['prompt', '{"seed": 18446744073709551615}'],
  ['workflow', '猫 {"a": 1}'],
]);

describe('PNG text', () => {
  test('that was added is read back, also by libpng', async () => {
    const png = addPngText(plain, texts);
    expect(readPngText(png)).toEqual(texts);
    const { comments } = await sharp(png).metadata();
    expect(comments).toContainEqual({ keyword: 'prompt', text: texts.get('prompt') });
    await expect(sharp(png).raw().toBuffer()).resolves.toEqual(await sharp(plain).raw().toBuffer());
  });

  test('is copied to another picture in place of its own', () => {
    const own = addPngText(plain, new Map([['prompt', 'old']]));
    expect(readPngText(copyPngText(addPngText(plain, texts), own))).toEqual(texts);
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

  test('of something else than a whole PNG is empty and copies nothing', () => {
    expect(readPngText(Buffer.from('hello')).size).toBe(0);
    expect(readPngText(plain.subarray(0, 20)).size).toBe(0);
    expect(copyPngText(Buffer.from('hello'), plain)).toBe(plain);
  });
});
