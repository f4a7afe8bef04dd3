import { describe, expect, test } from '@jest/globals';
import sharp from 'sharp';
import { encodePng } from './png.ts';

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
});
