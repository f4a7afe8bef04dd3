import { describe, expect, test } from '@jest/globals';
import type { PromptGraph } from '@tiercel/contracts';
import sharp from 'sharp';
import { createBench } from '../executor/test-run.ts';

const node = (class_type: string, inputs: PromptGraph[string]['inputs']) => ({
  class_type,
  inputs,
});
/** A blue picture of 64x64 whose middle, 32x32, a mask marks. */
const base: PromptGraph = {
  blue: node('EmptyImage', { width: 64, height: 64, batch_size: 1, color: 255 }),
  black: node('EmptyImage', { width: 64, height: 64, batch_size: 1, color: 0 }),
  white: node('EmptyImage', { width: 32, height: 32, batch_size: 1, color: 0xffffff }),
  marked: node('ImageCompositeMasked', {
    destination: ['black', 0],
    source: ['white', 0],
    x: 16,
    y: 16,
    resize_source: false,
  }),
  mask: node('ImageToMask', { image: ['marked', 0], channel: 'red' }),
  model: node('CheckpointLoaderSimple', { ckpt_name: 'sketch.safetensors' }),
  text: node('CLIPTextEncode', { text: 'a red fox', clip: ['model', 1] }),
  encoded: node('VAEEncode', { pixels: ['blue', 0], vae: ['model', 2] }),
};
const sampler = (latent: [string, number], over = {}) =>
  node('KSampler', {
    seed: 1,
    steps: 2,
    cfg: 7,
    sampler_name: 'euler',
    scheduler: 'normal',
    denoise: 1,
    model: ['model', 0],
    positive: ['text', 0],
    negative: ['text', 0],
    latent_image: latent,
    ...over,
  });

/** Every picture that decoding the latent of node `from` gives. */
async function decode(graph: PromptGraph, from: string, slot = 0) {
  const bench = createBench();
  await bench.run(
    {
      ...base,
      ...graph,
      decoded: node('VAEDecode', { samples: [from, slot], vae: ['model', 2] }),
      saved: node('SaveImage', { images: ['decoded', 0], filename_prefix: 'x' }),
    },
    ['saved'],
  );
  return Promise.all(
    bench.saved.map(async ({ bytes, width = 0 }) => {
      const data = await sharp(bytes).raw().toBuffer();
      return {
        width,
        data,
        at: (x: number, y: number) => [
          ...data.subarray((y * width + x) * 3, (y * width + x) * 3 + 3),
        ],
      };
    }),
  );
}
const BLUE = [0, 0, 255];

describe('inpainting', () => {
  test('SetLatentNoiseMask keeps the picture outside of the mask', async () => {
    const [picture] = await decode(
      {
        masked: node('SetLatentNoiseMask', { samples: ['encoded', 0], mask: ['mask', 0] }),
        sampled: sampler(['masked', 0]),
      },
      'sampled',
    );
    expect([picture?.at(2, 2), picture?.at(15, 15), picture?.at(61, 61)]).toEqual([
      BLUE,
      BLUE,
      BLUE,
    ]);
    expect(picture?.at(32, 32)).not.toEqual(BLUE);
  });

  test('VAEEncodeForInpaint greys the masked part and lets the sampler reach beyond its edge', async () => {
    const encoded = node('VAEEncodeForInpaint', {
      pixels: ['blue', 0],
      vae: ['model', 2],
      mask: ['mask', 0],
      grow_mask_by: 6,
    });
    const [before] = await decode({ inpaint: encoded }, 'inpaint');
    expect([before?.at(15, 20), before?.at(16, 20), before?.at(47, 20)]).toEqual([
      BLUE,
      [127, 127, 127],
      [127, 127, 127],
    ]);
    const [after] = await decode({ inpaint: encoded, sampled: sampler(['inpaint', 0]) }, 'sampled');
    // Six pixels across: two to the upper left, three to the lower right.
    expect([after?.at(13, 32), after?.at(51, 32)]).toEqual([BLUE, BLUE]);
    expect(after?.at(14, 32)).not.toEqual(BLUE);
    expect(after?.at(50, 32)).not.toEqual(BLUE);
  });

  test('InpaintModelConditioning masks, unless it is told not to', async () => {
    const conditioned = (noise_mask: boolean) => ({
      inpaint: node('InpaintModelConditioning', {
        positive: ['text', 0],
        negative: ['text', 0],
        vae: ['model', 2],
        pixels: ['blue', 0],
        mask: ['mask', 0],
        noise_mask,
      }),
      sampled: sampler(['inpaint', 2], { positive: ['inpaint', 0], negative: ['inpaint', 1] }),
    });
    const [masked] = await decode(conditioned(true), 'sampled');
    expect(masked?.at(2, 2)).toEqual(BLUE);
    expect(masked?.at(32, 32)).not.toEqual(BLUE);
    const [whole] = await decode(conditioned(false), 'sampled');
    expect(whole?.at(2, 2)).not.toEqual(BLUE);
  });
});

describe('latents', () => {
  test.each([
    ['EmptySD3LatentImage', 70, 64],
    ['EmptyHunyuanImageLatent', 100, 96],
  ])('%s cuts %i pixels to %i', async (classType, side, expected) => {
    const [picture] = await decode(
      { empty: node(classType, { width: side, height: side, batch_size: 1 }) },
      'empty',
    );
    expect(picture?.width).toBe(expected);
  });

  test('LatentFromBatch takes some of a batch, LatentUpscaleBy enlarges them', async () => {
    const graph = {
      empty: node('EmptyLatentImage', { width: 64, height: 64, batch_size: 4 }),
      sampled: sampler(['empty', 0]),
      some: node('LatentFromBatch', { samples: ['sampled', 0], batch_index: 2, length: 9 }),
      larger: node('LatentUpscaleBy', {
        samples: ['some', 0],
        upscale_method: 'area',
        scale_by: 1.5,
      }),
    };
    const all = await decode(graph, 'sampled');
    const some = await decode(graph, 'some');
    expect(some.map(({ data }) => data)).toEqual(all.slice(2).map(({ data }) => data));
    expect((await decode(graph, 'larger')).map(({ width }) => width)).toEqual([96, 96]);
  });

  test('VAEDecodeTiled gives the picture that VAEDecode gives', async () => {
    const graph = { empty: node('EmptyLatentImage', { width: 64, height: 64, batch_size: 1 }) };
    const bench = createBench();
    await bench.run(
      {
        ...base,
        ...graph,
        sampled: sampler(['empty', 0]),
        tiled: node('VAEDecodeTiled', {
          samples: ['sampled', 0],
          vae: ['model', 2],
          tile_size: 512,
          overlap: 64,
          temporal_size: 64,
          temporal_overlap: 8,
        }),
        saved: node('SaveImage', { images: ['tiled', 0], filename_prefix: 'x' }),
      },
      ['saved'],
    );
    const [whole] = await decode({ ...graph, sampled: sampler(['empty', 0]) }, 'sampled');
    expect(await sharp(bench.saved[0]?.bytes).raw().toBuffer()).toEqual(whole?.data);
  });
});

describe('a value that is shown as it stands in the prompt', () => {
  test.each([
    ['7', '7'],
    ['7.0', '7.0'],
    ['1E-7', '1e-07'],
    ['0.1', '0.1'],
    ['18446744073709551615', '18446744073709551615'],
    ['true', 'True'],
  ])('%s is %s to Python', async (written, shown) => {
    const bench = createBench();
    const prompt = `{"p":{"class_type":"PreviewAny","inputs":{"source":${written}}}}`;
    await bench.run(prompt, ['p']);
    expect(bench.shown.get('p')?.text).toEqual([shown]);
  });
});

describe('values', () => {
  const show = async (graph: PromptGraph) => {
    const bench = createBench();
    await bench.run({ ...graph, shown: node('PreviewAny', { source: ['value', 0] }) }, ['shown']);
    return bench.shown.get('shown')?.text;
  };

  test.each([
    [node('PrimitiveFloat', { value: 0.5 }), '0.5'],
    [node('PrimitiveFloat', { value: 7 }), '7.0'],
    [node('PrimitiveFloat', { value: 0.00001 }), '1e-05'],
    [node('PrimitiveFloat', { value: -0 }), '0.0'],
    [node('PrimitiveInt', { value: 7 }), '7'],
    [node('PrimitiveString', { value: 'hi' }), 'hi'],
    [node('PrimitiveBoolean', { value: true }), 'True'],
    [node('StringConcatenate', { string_a: 'a', string_b: 'b', delimiter: '-' }), 'a-b'],
    [node('StringSubstring', { string: 'a🦊bc', start: 1, end: -1 }), '🦊b'],
    [node('StringLength', { string: '🦊🦊' }), '2'],
    [node('StringTrim', { string: ' a ', mode: 'Left' }), 'a '],
    [node('StringReplace', { string: 'aXbX', find: 'X', replace: '$&' }), 'a$&b$&'],
    [node('StringReplace', { string: 'ab', find: '', replace: '-' }), '-a-b-'],
    [node('CaseConverter', { string: 'a red FOX', mode: 'Title Case' }), 'A Red Fox'],
    [node('CaseConverter', { string: 'a red FOX', mode: 'Capitalize' }), 'A red fox'],
  ])('%j gives %s', async (value, text) => {
    expect(await show({ value })).toEqual([text]);
  });
});

describe('arithmetic of latents', () => {
  const other: PromptGraph = {
    black32: node('EmptyImage', { width: 32, height: 64, batch_size: 1, color: 0 }),
    dark: node('VAEEncode', { pixels: ['black32', 0], vae: ['model', 2] }),
  };
  const two = { samples1: ['encoded', 0], samples2: ['dark', 0] } as const;
  const BLACK = [0, 0, 0];

  test.each<[dim: string, width: number, left: number[], right: number[]]>([
    ['x', 96, BLUE, BLACK],
    ['-x', 96, BLACK, BLUE],
    ['y', 64, BLUE, BLUE],
  ])('LatentConcat along %s lays one beside the other', async (dim, width, left, right) => {
    const x = node('LatentConcat', { ...two, dim });
    const [picture] = await decode({ ...other, x }, 'x');
    expect([picture?.width, picture?.at(1, 1), picture?.at(width - 2, 1)]).toEqual([
      ...[width, left, right],
    ]);
  });

  test('LatentConcat along t lays one behind the other', async () => {
    const x = node('LatentConcat', { ...two, dim: '-t' });
    const [first, second] = await decode({ ...other, x }, 'x');
    expect([first?.at(9, 9), second?.at(9, 9)]).toEqual([BLACK, BLUE]);
  });

  test('samples are added, taken away and multiplied as seen from grey', async () => {
    const same = { samples1: ['encoded', 0], samples2: ['encoded', 0] } as const;
    const pixel = async (x: PromptGraph[string]) => (await decode({ x }, 'x'))[0]?.at(5, 5);
    expect(await pixel(node('LatentSubtract', same))).toEqual([127, 127, 127]);
    expect(await pixel(node('LatentAdd', same))).toEqual(BLUE);
    expect(await pixel(node('LatentMultiply', { samples: ['encoded', 0], multiplier: 0 }))).toEqual(
      [127, 127, 127],
    );
  });

  test('LatentCompositeMasked paints where the mask is white', async () => {
    const x = node('LatentCompositeMasked', {
      ...{ destination: ['encoded', 0], source: ['dark', 0], x: 0, y: 0, resize_source: true },
      mask: ['mask', 0],
    });
    const [picture] = await decode({ ...other, x }, 'x');
    expect([picture?.at(2, 2), picture?.at(32, 32)]).toEqual([BLUE, BLACK]);
  });
});
