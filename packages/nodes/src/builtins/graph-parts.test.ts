import { describe, expect, test } from '@jest/globals';
import type { PromptGraph, UiOutput } from '@tiercel/contracts';
import sharp from 'sharp';
import { createBench, type Bench } from '../executor/test-run.ts';

/** Nodes that published graphs have around their samplers, each in a small graph of its own. */

type Graph = Record<string, { class_type: string; inputs: Record<string, unknown> }>;

const node = (class_type: string, inputs: Record<string, unknown> = {}) => ({ class_type, inputs });
const plain = (width: number, height: number, color = 0x336699) =>
  node('EmptyImage', { width, height, batch_size: 1, color });

async function run(graph: Graph, outputs: readonly string[], bench = createBench()) {
  await bench.run(graph as unknown as PromptGraph, outputs);
  return bench;
}

/** What PreviewAny shows of each output of node `x`. */
async function show(x: Graph[string], more: Graph = {}, slots = 1): Promise<unknown[]> {
  const graph: Graph = { ...more, x };
  const ids = Array.from({ length: slots }, (_, slot) => `show${slot}`);
  ids.forEach((id, slot) => (graph[id] = node('PreviewAny', { source: ['x', slot] })));
  const bench = await run(graph, ids);
  return ids.map((id) => (bench.shown.get(id) as UiOutput & { text: unknown[] }).text[0]);
}

/** The pictures that `x` comes to: size, channels, and the samples of the first. */
async function draw(x: Graph[string], more: Graph = {}) {
  const save = node('SaveImage', { images: ['x', 0], filename_prefix: 'p' });
  const bench = await run({ ...more, x, save }, ['save']);
  const [first] = bench.saved;
  const { data, info } = await sharp(first!.bytes).raw().toBuffer({ resolveWithObject: true });
  return { size: `${info.width}x${info.height}`, channels: info.channels, data, bench };
}

describe('sizes', () => {
  const source = { image: plain(120, 60) };
  test.each<[classType: string, inputs: Record<string, unknown>, size: string]>([
    ['ImageScaleToTotalPixels', { megapixels: 0.02, resolution_steps: 1 }, '205x102'],
    ['ImageScaleToTotalPixels', { megapixels: 0.02, resolution_steps: 16 }, '208x96'],
    ['ImageScaleToMaxDimension', { largest_size: 64 }, '64x32'],
  ])('%s %j', async (classType, inputs, size) => {
    const x = node(classType, { image: ['image', 0], upscale_method: 'area', ...inputs });
    expect((await draw(x, source)).size).toBe(size);
  });

  test.each<[type: string, inputs: Record<string, unknown>, size: string]>([
    ['scale dimensions', { width: 40, height: 0, crop: 'disabled' }, '40x20'],
    ['scale dimensions', { width: 40, height: 40, crop: 'center' }, '40x40'],
    ['scale by multiplier', { multiplier: 0.5 }, '60x30'],
    ['scale longer dimension', { longer_size: 30 }, '30x15'],
    ['scale shorter dimension', { shorter_size: 30 }, '60x30'],
    ['scale width', { width: 60 }, '60x30'],
    ['scale height', { height: 60 }, '120x60'],
    ['scale total pixels', { megapixels: 0.02 }, '205x102'],
    ['match size', { match: ['other', 0], crop: 'center' }, '16x24'],
    ['scale to multiple', { multiple: 32 }, '96x32'],
  ])('ResizeImageMaskNode %s %j', async (type, inputs, size) => {
    const nested = Object.entries(inputs).map(([name, value]) => [`resize_type.${name}`, value]);
    const x = node('ResizeImageMaskNode', {
      ...{ input: ['image', 0], resize_type: type, scale_method: 'bilinear' },
      ...Object.fromEntries(nested),
    });
    expect((await draw(x, { ...source, other: plain(16, 24) })).size).toBe(size);
  });

  test('a mask is resized as a picture is', async () => {
    const graph: Graph = {
      mask: node('SolidMask', { value: 0.5, width: 20, height: 10 }),
      half: node('ResizeImageMaskNode', {
        ...{ input: ['mask', 0], resize_type: 'scale by multiplier', scale_method: 'lanczos' },
        'resize_type.multiplier': 0.5,
      }),
    };
    const { size, data } = await draw(node('MaskToImage', { mask: ['half', 0] }), graph);
    expect([size, data[0]]).toEqual(['10x5', 127]);
  });

  test('GetImageSize, ResolutionSelector', async () => {
    expect(await show(node('GetImageSize', { image: ['image', 0] }), source, 3)).toEqual([
      ...['120', '60', '1'],
    ]);
    const wide = { aspect_ratio: '16:9 (Widescreen)', megapixels: 1, multiple: 8 };
    expect(await show(node('ResolutionSelector', wide), {}, 2)).toEqual(['1368', '768']);
  });
});

describe('pictures', () => {
  test('a batch has the members of its group in their order, in the size of the first', async () => {
    const members = Array.from({ length: 11 }, (_, i) => [`m${i}`, plain(4 + i, 4, i)] as const);
    const links = members.map(([id], i) => [`images.image${i}`, [id, 0]]);
    const { bench, size } = await draw(
      node('BatchImagesNode', Object.fromEntries(links)),
      Object.fromEntries(members),
    );
    expect([bench.saved.length, size]).toEqual([11, '4x4']);
    const last = await sharp(bench.saved.at(-1)!.bytes).raw().toBuffer();
    expect(last[2]).toBe(10);
  });

  test('alpha is joined and split as what a mask leaves out', async () => {
    const graph: Graph = {
      image: plain(8, 8),
      mask: node('SolidMask', { value: 0.25, width: 4, height: 4 }),
      joined: node('JoinImageWithAlpha', { image: ['image', 0], alpha: ['mask', 0] }),
      split: node('SplitImageWithAlpha', { image: ['joined', 0] }),
    };
    const joined = await draw(node('ImageInvert', { image: ['joined', 0] }), graph);
    expect(joined.channels).toBe(4);
    const split = await draw(node('MaskToImage', { mask: ['split', 1] }), graph);
    expect(split.data[0]).toBe(63);
  });

  test('room around a picture is grey, and the mask fades into the picture', async () => {
    const graph: Graph = {
      image: plain(16, 16, 0xffffff),
      padded: node('ImagePadForOutpaint', {
        ...{ image: ['image', 0], left: 8, top: 0, right: 0, bottom: 0, feathering: 4 },
      }),
    };
    const { size, data } = await draw(
      node('ImageCrop', { image: ['padded', 0], width: 24, height: 16, x: 0, y: 0 }),
      graph,
    );
    expect([size, data[0], data[8 * 3]]).toEqual(['24x16', 127, 255]);
    const mask = await draw(node('MaskToImage', { mask: ['padded', 1] }), graph);
    const row = [7, 8, 9, 11, 12].map((x) => mask.data[x * 3]);
    expect(row).toEqual([255, 255, 143, 15, 0]);
  });

  test('two are stitched with a stripe between them', async () => {
    const graph = { a: plain(10, 8, 0), b: plain(20, 4, 0x0000ff) };
    const x = node('ImageStitch', {
      ...{ image1: ['a', 0], image2: ['b', 0], direction: 'left', match_image_size: false },
      ...{ spacing_width: 2, spacing_color: 'red' },
    });
    const { size, data } = await draw(x, graph);
    const at = (column: number, y: number) => [
      ...data.subarray((y * 32 + column) * 3, (y * 32 + column) * 3 + 3),
    ];
    expect(size).toBe('32x8');
    expect([at(0, 4), at(21, 0), at(22, 0)]).toEqual([
      [0, 0, 255],
      [255, 0, 0],
      [0, 0, 0],
    ]);
  });

  test('a quarter turn is clockwise', async () => {
    const graph: Graph = {
      a: plain(2, 1, 0xff0000),
      b: plain(2, 1, 0x00ff00),
      both: node('ImageStitch', {
        ...{ image1: ['a', 0], image2: ['b', 0], direction: 'down', match_image_size: false },
        ...{ spacing_width: 0, spacing_color: 'white' },
      }),
    };
    const { size, data } = await draw(
      node('ImageRotate', { image: ['both', 0], rotation: '90 degrees' }),
      graph,
    );
    expect([size, [...data.subarray(0, 6)]]).toEqual(['2x2', [0, 255, 0, 255, 0, 0]]);
  });

  test('edges are found where brightness jumps, and only there', async () => {
    const graph: Graph = {
      a: plain(16, 16, 0),
      b: plain(16, 16, 0xffffff),
      both: node('ImageStitch', {
        ...{ image1: ['a', 0], image2: ['b', 0], direction: 'right', match_image_size: false },
        ...{ spacing_width: 0, spacing_color: 'white' },
      }),
    };
    const canny = { image: ['both', 0], low_threshold: 0.4, high_threshold: 0.8 };
    const { data } = await draw(node('Canny', canny), graph);
    const row = Array.from({ length: 32 }, (_, x) => data[(8 * 32 + x) * 3]);
    expect(row.slice(15, 17)).toContain(255);
    expect([...row.slice(0, 14), ...row.slice(18)].every((value) => value === 0)).toBe(true);
  });

  test('a blurred or sharpened plain picture is the same', async () => {
    for (const x of [
      node('ImageBlur', { image: ['a', 0], blur_radius: 3, sigma: 1 }),
      node('ImageSharpen', { image: ['a', 0], sharpen_radius: 2, sigma: 1, alpha: 1 }),
    ]) {
      const { data } = await draw(x, { a: plain(8, 8, 0x808080) });
      expect(Math.abs(data[30]! - 0x80)).toBeLessThanOrEqual(1);
    }
  });
});

describe('latents', () => {
  const paint = (seed: number): Graph => ({
    ckpt: node('CheckpointLoaderSimple', { ckpt_name: 'x' }),
    text: node('CLIPTextEncode', { clip: ['ckpt', 1], text: 'a fox' }),
    empty: node('EmptyLatentImage', { width: 64, height: 32, batch_size: 2 }),
    latent: node('KSampler', {
      ...{
        model: ['ckpt', 0],
        positive: ['text', 0],
        negative: ['text', 0],
        latent_image: ['empty', 0],
      },
      ...{ seed, steps: 1, cfg: 1, sampler_name: 'euler', scheduler: 'normal', denoise: 1 },
    }),
  });

  test.each<[classType: string, inputs: Record<string, unknown>, size: string, count: number]>([
    ['LatentFlip', { flip_method: 'x-axis: vertically' }, '64x32', 2],
    ['LatentRotate', { rotation: '270 degrees' }, '32x64', 2],
    ['LatentCrop', { width: 32, height: 24, x: 8, y: 8 }, '32x24', 2],
    ['LatentCut', { dim: 'x', index: 2, amount: 3 }, '24x32', 2],
    ['LatentCut', { dim: 't', index: -1, amount: 9 }, '64x32', 1],
    ['LatentCutToBatch', { dim: 'x', slice_size: 4 }, '32x32', 4],
    ['LatentCutToBatch', { dim: 't', slice_size: 1 }, '64x32', 2],
  ])('%s %j', async (classType, inputs, size, count) => {
    const graph = { ...paint(1), y: node(classType, { samples: ['latent', 0], ...inputs }) };
    const drawn = await draw(node('VAEDecode', { samples: ['y', 0], vae: ['ckpt', 2] }), graph);
    expect([drawn.size, drawn.bench.saved.length]).toEqual([size, count]);
  });

  test('batches are joined, and a flipped latent is not the same picture', async () => {
    const pair = (inputs: Record<string, unknown>) => node('LatentBatch', inputs);
    const graph: Graph = {
      ...paint(1),
      flipped: node('LatentFlip', { samples: ['latent', 0], flip_method: 'y-axis: horizontally' }),
      y: pair({ samples1: ['latent', 0], samples2: ['flipped', 0] }),
    };
    const { bench } = await draw(node('VAEDecode', { samples: ['y', 0], vae: ['ckpt', 2] }), graph);
    const pictures = await Promise.all(
      bench.saved.map(async ({ bytes }) =>
        (await sharp(bytes).raw().toBuffer()).toString('base64'),
      ),
    );
    expect(pictures).toHaveLength(4);
    expect(new Set(pictures).size).toBe(4);
  });
});

describe('texts and numbers', () => {
  test.each<[classType: string, inputs: Record<string, unknown>, shown: string[]]>([
    ['ComfyMathExpression', { expression: 'a * 2', 'values.a': 2.5 }, ['5.0', '5', 'True']],
    ['ComfyNumberConvert', { value: ' 12.7 ' }, ['12.7', '12']],
    ['ComfyNumberConvert', { value: true }, ['1.0', '1']],
    [
      'StringFormat',
      { f_string: '{{{a}}} {b:04d} {c:.2f}', 'values.a': 'x', 'values.b': 7, 'values.c': 1.005 },
      ['{x} 0007 1.00'],
    ],
    ['StringContains', { string: 'A Boat', substring: 'boat', case_sensitive: false }, ['True']],
    [
      'StringCompare',
      { string_a: 'boat', string_b: 'bo', mode: 'Starts With', case_sensitive: true },
      ['True'],
    ],
    [
      'RegexExtract',
      {
        string: 'a1 b2',
        regex_pattern: '([a-z])(\\d)',
        mode: 'All Groups',
        case_insensitive: true,
        multiline: false,
        dotall: false,
        group_index: 2,
      },
      ['1\n2'],
    ],
    ['RegexReplace', { string: 'a a a', regex_pattern: 'A', replace: 'b', count: 2 }, ['b b a']],
    [
      'JsonExtractString',
      { json_string: 'so: ```json\n{"a": {"b": [1, true]}}```', key: 'a' },
      ["{'b': [1, True]}"],
    ],
    ['JsonExtractString', { json_string: '{ no {"k": "}"}', key: 'k' }, ['}']],
    ['JsonExtractString', { json_string: 'nothing', key: 'k' }, ['']],
    ['CustomCombo', { choice: 'Fast', index: 2, option1: 'Slow' }, ['Fast', '2']],
    ['ComfyAndNode', { 'values.value0': 1, 'values.value1': '' }, ['False']],
    ['ComfyOrNode', { 'values.value0': 0, 'values.value1': 'x' }, ['True']],
    ['ComfyNotNode', { value: 0 }, ['True']],
  ])('%s %j', async (classType, inputs, shown) => {
    expect(await show(node(classType, inputs), {}, shown.length)).toEqual(shown);
  });
});

describe('a switch', () => {
  const graph = (isOn: unknown): Graph => ({
    on: node('StringReplace', { string: 'yes', find: '', replace: '' }),
    broken: node('RegexReplace', { string: 'x', regex_pattern: '(', replace: '' }),
    off: node('CaseConverter', { string: ['broken', 0], mode: 'lowercase' }),
    flag: node('PrimitiveBoolean', { value: isOn }),
    x: node('ComfySwitchNode', { switch: ['flag', 0], on_true: ['on', 0], on_false: ['off', 0] }),
    show: node('PreviewAny', { source: ['x', 0] }),
  });

  test('makes only the branch that it hands on', async () => {
    const bench = await run(graph(true), ['show']);
    expect(bench.shown.get('show')).toEqual({ text: ['yes'] });
    const started = bench.log.filter((line) => line.startsWith('start')).join(' ');
    expect(started).toContain('on');
    expect(started).not.toMatch(/broken|off/);
  });

  test('fails with the other when that is chosen', async () => {
    await expect(run(graph(false), ['show'])).rejects.toMatchObject({ nodeId: 'broken' });
  });

  test('takes what something else has made, or the cache has', async () => {
    const bench: Bench = createBench();
    const more = { ...graph(true), also: node('PreviewAny', { source: ['on', 0] }) };
    await run(more, ['also', 'show'], bench);
    await run(more, ['show'], bench);
    expect(bench.shown.get('show')).toEqual({ text: ['yes'] });
  });

  test('may stand behind another, and feed two', async () => {
    const chain: Graph = {
      ...graph(true),
      y: node('ComfySwitchNode', { switch: false, on_true: ['off', 0], on_false: ['x', 0] }),
      a: node('PreviewAny', { source: ['y', 0] }),
      b: node('PreviewAny', { source: ['y', 0] }),
    };
    const bench = await run(chain, ['a', 'b']);
    expect([bench.shown.get('a'), bench.shown.get('b')]).toEqual([
      { text: ['yes'] },
      { text: ['yes'] },
    ]);
  });
});

test('a node whose model is missing here says so only when it is run', async () => {
  const clip = node('CLIPLoader', { clip_name: 'x', type: 'flux2' });
  const generate = node('TextGenerate', {
    clip: ['clip', 0],
    prompt: 'a',
    max_length: 1,
    sampling_mode: 'off',
  });
  await expect(show(generate, { clip })).rejects.toMatchObject({
    exceptionMessage: 'Node x (TextGenerate) wants a language model, and there is none here.\n',
  });
});
