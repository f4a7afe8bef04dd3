import { describe, expect, test } from '@jest/globals';
import type { PromptGraph, UiOutput } from '@tiercel/contracts';
import sharp from 'sharp';
import { createBench, failure } from '../executor/test-run.ts';

type Graph = Record<string, { class_type: string; inputs: Record<string, unknown> }>;
const node = (class_type: string, inputs: Record<string, unknown> = {}) => ({ class_type, inputs });
const plain = (width: number, height: number, color = 0, batch_size = 1) =>
  node('EmptyImage', { width, height, batch_size, color });

/** What PreviewAny shows of output 0 of node `x`, once for each value of a list. */
async function show(graph: Graph): Promise<readonly unknown[]> {
  const bench = createBench();
  const all = { ...graph, show: node('PreviewAny', { source: ['x', 0] }) };
  await bench.run(all as unknown as PromptGraph, ['show']);
  return (bench.shown.get('show') as UiOutput & { text: unknown[] }).text;
}

async function draw(graph: Graph) {
  const bench = createBench();
  const all = { ...graph, save: node('SaveImage', { images: ['x', 0], filename_prefix: 'p' }) };
  await bench.run(all as unknown as PromptGraph, ['save']);
  return Promise.all(
    bench.saved.map(({ bytes }) => sharp(bytes).raw().toBuffer({ resolveWithObject: true })),
  );
}

describe('batches of another size', () => {
  test('RebatchImages cuts a batch, the rest last', async () => {
    const x = node('RebatchImages', { images: ['a', 0], batch_size: 2 });
    expect(await show({ a: plain(4, 4, 0, 5), x })).toEqual([
      '<image 4x4 x2>',
      '<image 4x4 x2>',
      '<image 4x4 x1>',
    ]);
  });

  test('RebatchImages says why pictures of two sizes are no batch', async () => {
    const graph = {
      ...{ a: plain(4, 4), b: plain(5, 4) },
      list: node('CreateList', { 'inputs.input0': ['a', 0], 'inputs.input1': ['b', 0] }),
      x: node('RebatchImages', { images: ['list', 0], batch_size: 2 }),
    };
    const error = await failure(show(graph));
    expect(String(error)).toContain('4x4 with 3 channels, and 5x4');
  });

  test('RebatchLatents begins a new batch where the size changes', async () => {
    const latent = (width: number, batch_size: number) =>
      node('EmptyLatentImage', { width, height: 64, batch_size });
    const graph = {
      ...{ a: latent(64, 3), b: latent(128, 1) },
      list: node('CreateList', { 'inputs.input0': ['a', 0], 'inputs.input1': ['b', 0] }),
      x: node('RebatchLatents', { latents: ['list', 0], batch_size: 2 }),
    };
    expect(await show(graph)).toEqual([
      '<latent 64x64 x2>',
      '<latent 64x64 x1>',
      '<latent 128x64 x1>',
    ]);
  });
});

describe('lists', () => {
  test('CreateList puts values and lists behind one another, in the order of its inputs', async () => {
    const graph = {
      first: node('CreateList', { 'inputs.input0': 'b', 'inputs.input1': 'c' }),
      x: node('CreateList', { 'inputs.input0': 'a', 'inputs.input1': ['first', 0] }),
    };
    expect(await show(graph)).toEqual(['a', 'b', 'c']);
  });

  test.each<[classType: string, inputs: Record<string, unknown>, text: string]>([
    ['TextToUppercase', {}, ' A FOX '],
    ['TextToLowercase', {}, ' a fox '],
    ['StripWhitespace', {}, 'A fox'],
    ['TruncateText', { max_length: 2 }, ' A'],
    ['AddTextPrefix', { prefix: 'x' }, 'x A fox '],
    ['AddTextSuffix', { suffix: 'x' }, ' A fox x'],
    ['ReplaceText', { find: 'fox', replace: 'cat' }, ' A cat '],
  ])('%s changes each text of a list', async (classType, inputs, text) => {
    const list = node('CreateList', { 'inputs.input0': ' A fox ', 'inputs.input1': ' A fox ' });
    const x = node(classType, { texts: ['list', 0], ...inputs });
    expect(await show({ list, x })).toEqual([text, text]);
  });

  test('MergeTextLists hands its list on', async () => {
    const list = node('CreateList', { 'inputs.input0': 'a', 'inputs.input1': 'b' });
    expect(await show({ list, x: node('MergeTextLists', { texts: ['list', 0] }) })).toEqual([
      'a',
      'b',
    ]);
  });
});

describe('tiles', () => {
  const noise = node('ImageAddNoise', { image: ['grey', 0], seed: 3, strength: 0.2 });
  const graph = { grey: plain(150, 90, 0x808080), x: noise };

  test.each([
    [64, 64, 16],
    [100, 64, 0],
    [512, 512, 128],
  ])('of %sx%s that overlap by %s come to the picture again', async (width, height, overlap) => {
    const [whole] = await draw(graph);
    const split = node('SplitImageToTileList', {
      ...{ image: ['noise', 0], tile_width: width, tile_height: height, overlap },
    });
    const merge = node('ImageMergeTileList', {
      ...{ image_list: ['split', 0], final_width: 150, final_height: 90, overlap },
    });
    const [merged] = await draw({ grey: graph.grey, noise, split, x: merge });
    expect(merged!.info).toMatchObject({ width: 150, height: 90 });
    const worst = merged!.data.reduce(
      (most, v, i) => Math.max(most, Math.abs(v - whole!.data[i]!)),
      0,
    );
    expect(worst).toBeLessThanOrEqual(1);
  });
});

describe('sets of pictures', () => {
  const image = plain(120, 60, 0x336699);
  test.each<[classType: string, inputs: Record<string, unknown>, size: string, pixel: number[]]>([
    ['ResizeImagesByShorterEdge', { shorter_edge: 30 }, '60x30', [0x33, 0x66, 0x99]],
    ['ResizeImagesByLongerEdge', { longer_edge: 30 }, '30x15', [0x33, 0x66, 0x99]],
    ['CenterCropImages', { width: 50, height: 400 }, '50x60', [0x33, 0x66, 0x99]],
    ['AdjustBrightness', { factor: 2 }, '120x60', [0x66, 0xcc, 0xff]],
    ['AdjustContrast', { factor: 0 }, '120x60', [127, 127, 127]],
    ['NormalizeImages', { mean: 0.2, std: 1 }, '120x60', [0, 51, 102]],
  ])('%s', async (classType, inputs, size, pixel) => {
    const [picture] = await draw({
      image,
      x: node(classType, { images: ['image', 0], ...inputs }),
    });
    expect(`${picture!.info.width}x${picture!.info.height}`).toBe(size);
    expect([...picture!.data.subarray(0, 3)]).toEqual(pixel);
  });

  test('ImageGrid lays a list out in rows', async () => {
    const graph = {
      ...{ a: plain(40, 40, 0xff0000), b: plain(20, 10, 0x00ff00) },
      list: node('CreateList', {
        ...{ 'inputs.input0': ['a', 0], 'inputs.input1': ['b', 0], 'inputs.input2': ['a', 0] },
      }),
      x: node('ImageGrid', {
        ...{ images: ['list', 0], columns: 2, cell_width: 32, cell_height: 32, padding: 4 },
      }),
    };
    const [grid] = await draw(graph);
    const { width, height } = grid!.info;
    expect({ width, height }).toEqual({ width: 68, height: 68 });
    const at = (x: number, y: number) => [...grid!.data.subarray((y * 68 + x) * 3).subarray(0, 3)];
    expect([at(0, 0), at(34, 16), at(50, 16), at(40, 2), at(1, 40), at(60, 60)]).toEqual([
      [255, 0, 0],
      [0, 0, 0],
      [0, 255, 0],
      [0, 0, 0],
      [255, 0, 0],
      [0, 0, 0],
    ]);
  });

  test('ImageCropV2 cuts the box of PrimitiveBoundingBox, as far as the picture goes', async () => {
    const box = node('PrimitiveBoundingBox', { x: 100, y: 10, width: 500, height: 20 });
    const x = node('ImageCropV2', { image: ['image', 0], crop_region: ['box', 0] });
    const [picture] = await draw({ image, box, x });
    expect(picture!.info).toMatchObject({ width: 20, height: 20 });
  });
});

test.each([
  ['#Ff8000', 0xff8000, '#ff8000', '1'],
  ['#ff800080', 0xff8000, '#ff8000', String(128 / 255)],
])('ColorToRGBInt reads %s', async (color, rgb, hex, alpha) => {
  const bench = createBench();
  const graph: Graph = { x: node('ColorToRGBInt', { color }) };
  const ids = [0, 1, 2].map((slot) => {
    graph[`show${slot}`] = node('PreviewAny', { source: ['x', slot] });
    return `show${slot}`;
  });
  await bench.run(graph as unknown as PromptGraph, ids);
  const shown = ids.map((id) =>
    String((bench.shown.get(id) as UiOutput & { text: unknown[] }).text[0]),
  );
  expect(shown.slice(0, 2)).toEqual([String(rgb), hex]);
  expect(Number(shown[2])).toBeCloseTo(Number(alpha));
});
