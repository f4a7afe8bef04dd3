import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { parseJson, type JsonObject } from '@tiercel/contracts';
import sharp from 'sharp';
import { embeddedModels } from '../embedded-models.ts';
import { createBench } from '../executor/test-run.ts';
import { createImage } from '../image/create-image.ts';
import { loadPicture } from '../image/load-picture.ts';
import { createRegistry } from '../registry.ts';
import { createBuiltinNodes } from './create-builtin-nodes.ts';

/** The tEXt chunks of a PNG. */
function readText(png: Uint8Array): Record<string, string> {
  const file = Buffer.from(png);
  const texts: [string, string][] = [];
  for (let at = 8; at < file.length; at += 12 + file.readUInt32BE(at)) {
    if (file.toString('latin1', at + 4, at + 8) !== 'tEXt') continue;
    const [keyword = '', text = ''] = file
      .toString('latin1', at + 8, at + 8 + file.readUInt32BE(at))
      .split('\0');
    texts.push([keyword, text]);
  }
  return Object.fromEntries(texts);
}

const txt2img = (over: object = {}, latent: object = {}) => ({
  '3': {
    class_type: 'KSampler',
    inputs: {
      seed: 1,
      steps: 3,
      cfg: 7,
      sampler_name: 'euler',
      scheduler: 'normal',
      denoise: 1,
      model: ['4', 0],
      positive: ['6', 0],
      negative: ['7', 0],
      latent_image: ['5', 0],
      ...over,
    },
  },
  '4': { class_type: 'CheckpointLoaderSimple', inputs: { ckpt_name: 'sketch.safetensors' } },
  '5': {
    class_type: 'EmptyLatentImage',
    inputs: { width: 96, height: 64, batch_size: 1, ...latent },
  },
  '6': { class_type: 'CLIPTextEncode', inputs: { text: 'a red fox', clip: ['4', 1] } },
  '7': { class_type: 'CLIPTextEncode', inputs: { text: 'blurry', clip: ['4', 1] } },
  '8': { class_type: 'VAEDecode', inputs: { samples: ['3', 0], vae: ['4', 2] } },
  '9': { class_type: 'SaveImage', inputs: { filename_prefix: 'fox', images: ['8', 0] } },
});

describe('the catalogue', () => {
  test('declares the classes that ComfyUI 0.3.64 has as it does', () => {
    const text = readFileSync(
      new URL('../fixtures/builtin-object-info.json', import.meta.url),
      'utf8',
    );
    const expected = structuredClone(parseJson(text)) as Record<string, Record<string, never>>;
    // Three lists depend on the machine.
    expected.LoadImage!.input = { required: { image: [[], { image_upload: true }] } } as never;
    expected.LoadImageMask!.input = {
      required: {
        image: [[], { image_upload: true }],
        channel: [['alpha', 'red', 'green', 'blue']],
      },
    } as never;
    expected.CheckpointLoaderSimple!.input = {
      required: { ckpt_name: [embeddedModels.checkpoints, {}] },
    } as never;
    // Since 0.33 it hands on the text that it shows.
    Object.assign(expected.PreviewAny!, {
      ...{ output: ['STRING'], output_is_list: [false], output_name: ['STRING'] },
    });
    const declared = Object.entries(createRegistry(createBuiltinNodes()).objectInfo());
    const known = declared.filter(([name]) => Object.hasOwn(expected, name));
    expect(Object.fromEntries(known)).toEqual(expected);
  });

  test('refuses two nodes of one class', () => {
    const nodes = createBuiltinNodes();
    expect(() => createRegistry([...nodes, ...nodes.slice(0, 1)])).toThrow('defined twice');
  });
});

describe('SaveImage', () => {
  const graph = {
    '1': {
      class_type: 'EmptyImage',
      inputs: { width: 4, height: 4, batch_size: 2, color: 255 },
      _meta: { title: 'My picture' },
    },
    '2': {
      class_type: 'SaveImage',
      inputs: {
        images: ['1', 0],
        filename_prefix:
          'x/%My picture.width%-%EmptyImage.color%-%No.such%-%batch_num%-%date:yyyy%',
      },
    },
  };

  test('writes prompt and workflow as Python prints them, and keeps the digits', async () => {
    const bench = createBench();
    const text =
      '{"1":{"class_type":"EmptyImage","inputs":{"width":4,"height":4,"batch_size":1,"color":1.0,"x":18446744073709551615}},"2":{"class_type":"SaveImage","inputs":{"images":["1",0],"filename_prefix":"é"}}}';
    await bench.run(text, ['2'], { extraPnginfo: '{"workflow":{"a":[1,2]},"other":"é"}' });
    expect(readText(bench.saved[0]!.bytes)).toEqual({
      prompt: text.replaceAll(':', ': ').replaceAll(',', ', ').replace('é', '\\u00e9'),
      workflow: '{"a": [1, 2]}',
      other: '"\\u00e9"',
    });
  });

  test('fills in values of other nodes and leaves the rest to storage', async () => {
    const bench = createBench();
    await bench.run(graph, ['2']);
    expect(bench.saved.map(({ prefix, width, height }) => [prefix, width, height])).toEqual([
      ['x/4-255-%No.such%-0-%date:yyyy%', 4, 4],
      ['x/4-255-%No.such%-1-%date:yyyy%', 4, 4],
    ]);
  });

  test('runs again when a value in its prefix changes, though its picture does not', async () => {
    const bench = createBench();
    const withNote = (value: number) => ({
      ...graph,
      '2': { ...graph['2'], inputs: { images: ['1', 0], filename_prefix: '%PrimitiveInt.value%' } },
      '3': { class_type: 'PrimitiveInt', inputs: { value } },
    });
    await bench.run(withNote(1), ['2']);
    await bench.run(withNote(2), ['2']);
    expect(bench.saved.map(({ prefix }) => prefix)).toEqual(['1', '1', '2', '2']);
  });
});

describe('LoadImage', () => {
  const load = (bytes: Uint8Array) =>
    loadPicture(
      { name: 'a.png', bytes },
      {
        maxPixels: 1_000,
        signal: new AbortController().signal,
        reserveMemory: () => Promise.resolve(),
      },
    );

  test('gives transparency as an inverted mask, and none for an opaque picture', async () => {
    const rgba = createImage({
      width: 3,
      height: 2,
      channels: 4,
      fill: (_x, _y, channel) => (channel === 3 ? 0.2 : 1),
    });
    const png = await sharp(Buffer.from(rgba.frames[0]!.map((v) => Math.round(v * 255))), {
      raw: { width: 3, height: 2, channels: 4 },
    })
      .png()
      .toBuffer();
    const { image, mask } = await load(png);
    expect([image.channels, image.frames[0]!.length, image.frames[0]![0]]).toEqual([3, 18, 1]);
    expect([mask.width, mask.height]).toEqual([3, 2]);
    expect(mask.frames[0]![0]).toBeCloseTo(0.8, 5);
    const opaque = await load(await sharp(png).removeAlpha().png().toBuffer());
    expect([
      opaque.mask.width,
      opaque.mask.height,
      opaque.mask.frames[0]!.every((v) => v === 0),
    ]).toEqual([64, 64, true]);
  });

  test('loads every frame of an animation', async () => {
    const frames = [0, 255].map((value) => Buffer.alloc(4 * 4 * 3, value));
    const gif = await sharp(Buffer.concat(frames), {
      raw: { width: 4, height: 8, channels: 3, pageHeight: 4 },
    })
      .gif()
      .toBuffer();
    const { image } = await load(gif);
    expect([image.width, image.height, image.frames.length]).toEqual([4, 4, 2]);
    expect([image.frames[0]![0], image.frames[1]![0]]).toEqual([0, 1]);
  });
});

describe('text to image', () => {
  const pictures = async (graph: object | string) => {
    const bench = createBench();
    const result = await bench.run(typeof graph === 'string' ? graph : JSON.stringify(graph), [
      '9',
    ]);
    return { bench, result, files: bench.saved.map(({ bytes }) => Buffer.from(bytes)) };
  };
  const pixels = (file: Buffer | undefined) => sharp(file).raw().toBuffer();

  test('gives a picture of the wanted size, marked as a sketch', async () => {
    const { result, files } = await pictures(txt2img());
    expect(result.sketch).toBe(true);
    expect(await sharp(files[0]).metadata()).toMatchObject({ width: 96, height: 64, channels: 3 });
    expect(parseJson(readText(files[0]!).tiercel!) as JsonObject).toEqual({
      sketch: true,
      generator: 'tiercel-sketch/1',
      seed: 1,
    });
  });

  test('gives the same picture for the same parameters, and another for any other', async () => {
    const base = await pixels((await pictures(txt2img())).files[0]);
    expect(base.equals(await pixels((await pictures(txt2img())).files[0]))).toBe(true);
    for (const other of [{ seed: 2 }, { steps: 4 }, { cfg: 8 }, { sampler_name: 'heun' }]) {
      expect(base.equals(await pixels((await pictures(txt2img(other))).files[0]))).toBe(false);
    }
  });

  test('tells 64-bit seeds apart that a double cannot', async () => {
    const withSeed = async (seed: string) => {
      const { files } = await pictures(
        JSON.stringify(txt2img()).replace('"seed":1', `"seed":${seed}`),
      );
      return { file: files[0]!, data: await pixels(files[0]) };
    };
    const [a, b] = [await withSeed('18446744073709551615'), await withSeed('18446744073709551614')];
    expect(a.data.equals(b.data)).toBe(false);
    expect(readText(a.file).tiercel).toContain('"seed": 18446744073709551615');
  });

  test('gives a different picture for each latent of a batch', async () => {
    const { files } = await pictures(txt2img({}, { batch_size: 2 }));
    const [a, b] = await Promise.all(files.map(pixels));
    expect(a!.equals(b!)).toBe(false);
  });

  test('reports every step with a JPEG preview of at most 512 pixels', async () => {
    const { bench } = await pictures(txt2img({ steps: 5 }, { width: 1024, height: 512 }));
    expect(bench.log.filter((line) => line.startsWith('progress'))).toEqual(
      [1, 2, 3, 4, 5].map((step) => `progress 3 ${step}/5`),
    );
    expect(bench.previews).toHaveLength(5);
    const { format, width, height } = await sharp(bench.previews[4]!.bytes).metadata();
    expect([format, width <= 512, width / height]).toEqual(['jpeg', true, 2]);
  });

  test('keeps more of the first picture the lower the denoise', async () => {
    const from = (denoise: number) => ({
      ...txt2img({ denoise }),
      '5': { class_type: 'VAEEncode', inputs: { pixels: ['1', 0], vae: ['4', 2] } },
      '1': {
        class_type: 'EmptyImage',
        inputs: { width: 64, height: 64, batch_size: 1, color: 0xff0000 },
      },
    });
    const redness = async (denoise: number) => {
      const data = await pixels((await pictures(from(denoise))).files[0]);
      return data.reduce((sum, value, i) => sum + (i % 3 === 0 ? value : -value / 2), 0);
    };
    const [all, some, none] = [await redness(0), await redness(0.3), await redness(1)];
    expect(all).toBe(64 * 64 * 255);
    expect(some).toBeLessThan(all);
    expect(some).toBeGreaterThan(none);
  });

  test('refuses more pixels than allowed', async () => {
    const bench = createBench();
    const run = bench.run(txt2img({}, { width: 1024, height: 1024, batch_size: 20 }), ['9']);
    await expect(run).rejects.toMatchObject({ nodeId: '5', exceptionType: 'ValueError' });
  });
});
