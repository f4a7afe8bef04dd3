import { describe, expect, test } from '@jest/globals';
import sharp from 'sharp';
import { encodePng, streamPng } from './png.ts';

describe('the PNG encoder', () => {
  test.each([
    ['grey', 1, 5, 3],
    ['RGB', 3, 7, 9],
    ['RGBA', 4, 300, 200],
  ] as const)(
    'writes %s pictures that decode to the same pixels',
    async (_, channels, width, height) => {
      // Smooth areas, noise and steps, so that every filter is used.
      const data = Uint8Array.from({ length: width * height * channels }, (_v, i) =>
        i % 1000 < 500 ? i / 7 : (i * 2654435761) % 251,
      );
      const png = await encodePng({ width, height, channels, data }, { level: 4 });
      const decoded = await sharp(png).raw().toBuffer();
      if (channels === 1) {
        // sharp gives grey pictures three times
        expect(
          Uint8Array.from(decoded.filter((_v, i) => i % (decoded.length / data.length) === 0)),
        ).toEqual(data);
      } else expect(Uint8Array.from(decoded)).toEqual(data);
    },
  );

  test('writes text chunks that other software reads, and skips impossible keywords', async () => {
    const png = await encodePng(
      { width: 1, height: 1, channels: 3, data: new Uint8Array(3) },
      {
        level: 1,
        text: [
          ['prompt', '{"a": 1}'],
          ['', 'x'],
          ['ключ', 'x'],
        ],
      },
    );
    const { comments } = await sharp(png).metadata();
    expect(comments).toEqual([{ keyword: 'prompt', text: '{"a": 1}' }]);
  });

  test('gives the same file in parts as whole, from bytes and from samples', async () => {
    const [width, height] = [700, 300];
    const data = Uint8Array.from({ length: width * height * 3 }, (_v, i) => (i * 31) % 253);
    const image = { width, height, channels: 3, data } as const;
    const whole = await encodePng(image, { level: 1 });
    const samples = { ...image, data: Float32Array.from(data, (byte) => (byte + 0.5) / 255) };
    for (const source of [image, samples]) {
      const parts: Uint8Array[] = [];
      for await (const part of streamPng(source, { level: 1 })) parts.push(part);
      expect(parts.length).toBeGreaterThan(3);
      expect(Buffer.concat(parts).equals(whole)).toBe(true);
    }
    expect((await sharp(whole).raw().toBuffer()).equals(data)).toBe(true);
  });

  test('stops at an abort', async () => {
    const stop = new AbortController();
    const [width, height] = [1_000, 1_500];
    const image = {
      width,
      height,
      channels: 3,
      data: new Float32Array(width * height * 3),
    } as const;
    const encode = async () => {
      for await (const part of streamPng(image, { level: 1, signal: stop.signal })) {
        expect(part.length).toBeGreaterThan(0);
        stop.abort(new Error('interrupted'));
      }
    };
    await expect(encode()).rejects.toThrow('interrupted');
  });
});
