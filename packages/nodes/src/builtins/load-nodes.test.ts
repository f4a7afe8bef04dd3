import { describe, expect, test } from '@jest/globals';
import sharp from 'sharp';
import { createBench, failure, save } from '../executor/test-run.ts';

const load = (image: string) => ({ class_type: 'LoadImage', inputs: { image } });
const loadMask = (image: string, channel: string) => ({
  class_type: 'LoadImageMask',
  inputs: { image, channel },
});
const show = (from: string, slot = 0) => ({
  class_type: 'MaskToImage',
  inputs: { mask: [from, slot] as [string, number] },
});

/** Red on the left and blue on the right, 6x4; see-through in its lowest row. */
const picture = sharp(
  Buffer.from(
    Array.from({ length: 24 }, (_, i) => [
      ...(i % 6 < 3 ? [255, 0, 0] : [0, 0, 255]),
      i < 18 ? 255 : 0,
    ]).flat(),
  ),
  { raw: { width: 6, height: 4, channels: 4 } },
);

/** The pictures that a graph saves, as pixels of RGB. */
async function run(graph: Parameters<ReturnType<typeof createBench>['run']>[0], files: object) {
  const bench = createBench();
  for (const [name, file] of Object.entries(files)) bench.inputs.set(name, file as Uint8Array);
  await bench.run(graph, ['saved']);
  return Promise.all(
    bench.saved.map(async ({ bytes }) => {
      const { data, info } = await sharp(bytes).raw().toBuffer({ resolveWithObject: true });
      const { width, height, channels } = info;
      const at = (x: number, y: number) => [
        ...data.subarray((y * width + x) * channels, (y * width + x) * channels + 3),
      ];
      return { width, height, at };
    }),
  );
}

describe('a photo that lies on its side', () => {
  // 6: the first row is on the right when the picture is upright.
  const [RED, BLUE, WHITE, BLACK] = [
    [255, 0, 0],
    [0, 0, 255],
    [255, 255, 255],
    [0, 0, 0],
  ];

  test.each(['png', 'webp', 'tiff'] as const)(
    'as %s is upright, and so are its masks',
    async (format) => {
      const file = await picture
        .clone()
        .withMetadata({ orientation: 6 })
        .toFormat(format, format === 'tiff' ? { compression: 'lzw' } : { lossless: true })
        .toBuffer();
      const files = { phone: file };
      const [image] = await run({ loaded: load('phone'), saved: save('loaded') }, files);
      expect([image?.width, image?.height]).toEqual([4, 6]);
      expect([image?.at(1, 0), image?.at(3, 5)]).toEqual([RED, BLUE]);
      const masks = [
        { loaded: load('phone'), shown: show('loaded', 1), saved: save('shown') },
        { loaded: loadMask('phone', 'alpha'), shown: show('loaded'), saved: save('shown') },
      ];
      for (const graph of masks) {
        const [mask] = await run(graph, files);
        expect([mask?.width, mask?.height]).toEqual([4, 6]);
        // What is see-through has become the left column, and is white in a mask.
        expect([mask?.at(0, 0), mask?.at(0, 5), mask?.at(1, 0)]).toEqual([WHITE, WHITE, BLACK]);
      }
      const [red] = await run(
        { loaded: loadMask('phone', 'red'), shown: show('loaded'), saved: save('shown') },
        files,
      );
      expect([red?.width, red?.at(1, 0), red?.at(1, 5)]).toEqual([4, WHITE, BLACK]);
    },
  );

  test('and a mask that was painted on it fit together', async () => {
    const jpeg = await picture.clone().withMetadata({ orientation: 8 }).jpeg().toBuffer();
    const graph = {
      photo: load('photo.jpg'),
      mask: loadMask('mask.png', 'alpha'),
      white: {
        class_type: 'EmptyImage',
        inputs: { width: 4, height: 6, batch_size: 1, color: 0xffffff },
      },
      both: {
        class_type: 'ImageCompositeMasked',
        inputs: {
          ...{ destination: ['photo', 0], source: ['white', 0], mask: ['mask', 0] },
          ...{ x: 0, y: 0, resize_source: false },
        },
      },
      saved: save('both'),
    };
    const mask = await sharp({
      create: { width: 4, height: 6, channels: 4, background: { r: 0, g: 0, b: 0, alpha: 0 } },
    })
      .png()
      .toBuffer();
    const [result] = await run(JSON.stringify(graph), { 'photo.jpg': jpeg, 'mask.png': mask });
    expect([result?.width, result?.height, result?.at(3, 5)]).toEqual([4, 6, WHITE]);
  });
});

describe('a picture that cannot be loaded', () => {
  const limited = { maxPixels: 20 };
  test.each([
    ['nothing.png', Buffer.alloc(0), 'UnidentifiedImageError', 'nothing.png is an empty file.'],
    [
      'notes.txt',
      Buffer.from('hello'),
      'UnidentifiedImageError',
      'notes.txt is not a picture of a',
    ],
    [
      'cut.jpg',
      Buffer.from('\xff\xd8\xff\xe0', 'latin1'),
      'OSError',
      'cut.jpg cannot be read: its JPEG',
    ],
    [
      'sub/big.png [input]',
      undefined,
      'ValueError',
      'sub/big.png [input] has 24 pixels (6x4), more than',
    ],
  ])('is told by name, without a line break: %s', async (name, content, type, words) => {
    const file = content ?? (await picture.clone().png().toBuffer());
    for (const loader of [load(name), loadMask(name, 'alpha')]) {
      const bench = createBench();
      bench.inputs.set(name, file);
      const last = loader.class_type === 'LoadImage' ? save('loaded') : save('shown');
      const graph = {
        loaded: loader,
        shown: show('loaded', loader.class_type === 'LoadImage' ? 1 : 0),
        saved: last,
      };
      const error = await failure(bench.run(graph, ['saved'], limited));
      expect(error).toMatchObject({
        ...{ nodeId: 'loaded', nodeType: loader.class_type, exceptionType: type },
        exceptionMessage: expect.stringContaining(words),
      });
      expect((error as { exceptionMessage: string }).exceptionMessage).toMatch(/\.$/);
    }
  });
});

describe('a file with several pictures', () => {
  test('gives all that are as large as the first, one output file each', async () => {
    const frame = (value: number) => Buffer.alloc(4 * 4 * 3, value);
    const gif = await sharp(Buffer.concat([frame(0), frame(120), frame(255)]), {
      raw: { width: 4, height: 12, channels: 3, pageHeight: 4 },
    })
      .gif()
      .toBuffer();
    const saved = await run({ loaded: load('a.gif'), saved: save('loaded') }, { 'a.gif': gif });
    expect(saved.map(({ at }) => at(0, 0)[0])).toEqual([0, 120, 255]);
  });
});
