import { describe, expect, test } from '@jest/globals';
import { parseJson, stringifyJson, type PromptGraph } from '@tiercel/contracts';
import { ksampler, lower, node, onlyRequest, onlyStage, textToImage } from './test-graphs.ts';

describe('text to image', () => {
  test('tells everything that KSampler asks for', () => {
    const lowering = lower(textToImage());
    expect(lowering).toEqual({
      stages: [
        {
          nodeId: '3',
          classType: 'KSampler',
          latentInput: 'latent_image',
          init: 'empty',
          masked: false,
          request: {
            prompt: 'a red fox',
            negative: 'blurry',
            seed: 7,
            steps: 20,
            cfg: 7.5,
            guidance: undefined,
            sampler: 'euler',
            scheduler: 'normal',
            denoise: 1,
            width: 512,
            height: 768,
            batch: 2,
            checkpoint: 'sd15.safetensors',
          },
        },
      ],
      descriptive: new Set(['4', '6', '7']),
      passThrough: new Map(),
      obstacles: [],
    });
  });

  test('keeps all digits of a 64-bit seed', () => {
    const text = stringifyJson(textToImage()).replace('"seed":7', '"seed":18446744073709551615');
    const graph = parseJson(text) as unknown as PromptGraph; // a valid prompt, as above
    expect(onlyRequest(graph).seed).toBe(18446744073709551615n);
  });

  test('reads values as the executor coerces them', () => {
    const graph = textToImage({ '3': ksampler({ seed: '12', steps: 4.9, cfg: '3' }) });
    expect(onlyRequest(graph)).toMatchObject({ seed: 12, steps: 4, cfg: 3 });
  });

  test('takes the seed, the text and the size from primitives, strings and reroutes', () => {
    const graph = textToImage({
      '3': ksampler({ seed: ['20', 0], model: ['26', 0] }),
      '5': node('EmptyLatentImage', { width: ['21', 0], height: 515, batch_size: 1 }),
      '6': node('CLIPTextEncode', { text: ['25', 0], clip: ['4', 1] }),
      '20': node('PrimitiveInt', { value: 18446744073709551615n }),
      '21': node('PrimitiveInt', { value: 640 }),
      '22': node('PrimitiveStringMultiline', { value: 'a fox' }),
      '23': node('PrimitiveString', { value: ' in SNOW ' }),
      '24': node('StringTrim', { string: ['23', 0], mode: 'Both' }),
      '25': node('StringConcatenate', {
        string_a: ['22', 0],
        string_b: ['27', 0],
        delimiter: ' ',
      }),
      '26': node('Reroute', { '': ['4', 0] }),
      '27': node('CaseConverter', { string: ['24', 0], mode: 'lowercase' }),
    });
    const { request } = onlyStage(graph);
    expect(request).toMatchObject({ prompt: 'a fox in snow', width: 640, height: 512 });
    expect(request).toMatchObject({ seed: 18446744073709551615n, checkpoint: 'sd15.safetensors' });
    // The width is a value of the run, the seed is not.
    expect(lower(graph).descriptive).toEqual(
      new Set(['4', '6', '7', '20', '22', '23', '24', '25', '26', '27']),
    );
  });

  test('leaves sizes to the run that only the run knows', () => {
    const graph = textToImage({
      '1': node('LoadImage', { image: 'a.png' }),
      '2': node('GetImageSize', { image: ['1', 0] }),
      '5': node('EmptyLatentImage', { width: ['2', 0], height: ['2', 1], batch_size: 1 }),
    });
    expect(onlyRequest(graph)).toMatchObject({ width: undefined, height: undefined, batch: 1 });
    expect(lower(graph).descriptive).toEqual(new Set(['4', '6', '7']));
  });

  test('says which node makes a text only when it runs', () => {
    const { obstacles } = lower(
      textToImage({
        '6': node('CLIPTextEncode', { text: ['20', 0], clip: ['4', 1] }),
        '20': node('ImageTagger', { image: ['21', 0] }),
        '21': node('LoadImage', { image: 'a.png' }),
      }),
    );
    expect(obstacles).toEqual([
      {
        nodeId: '20',
        classType: 'ImageTagger',
        kind: 'shape',
        reason:
          'node 20 (ImageTagger) makes the "text" of node 6 (CLIPTextEncode) only when it runs',
      },
    ]);
  });

  test('finds nothing to do in a graph without a sampler', () => {
    const graph = {
      '1': node('LoadImage', { image: 'a.png' }),
      '2': node('ImageInvert', { image: ['1', 0] }),
      '9': node('SaveImage', { images: ['2', 0], filename_prefix: 'x' }),
    };
    expect(lower(graph)).toEqual({
      stages: [],
      descriptive: new Set(),
      passThrough: new Map(),
      obstacles: [],
    });
  });

  test('looks only at what the outputs need', () => {
    const graph = textToImage({ '50': node('LoraLoader', { model: ['4', 0] }) });
    expect(lower(graph).obstacles).toEqual([]);
  });
});

describe('from a picture', () => {
  const encoded = (over: PromptGraph = {}) =>
    textToImage({
      '1': node('LoadImage', { image: 'a.png' }),
      '3': ksampler({ denoise: 0.6 }),
      '5': node('VAEEncode', { pixels: ['1', 0], vae: ['4', 2] }),
      ...over,
    });

  test('an encoded picture is where it starts, at any denoise', () => {
    for (const denoise of [0.6, 1]) {
      const stage = onlyStage(encoded({ '3': ksampler({ denoise }) }));
      expect(stage).toMatchObject({ init: 'image', masked: false });
      expect(stage.request).toMatchObject({ denoise, width: undefined, batch: undefined });
    }
  });

  test('knows the size of a scaled picture, cut to whole latents', () => {
    const graph = encoded({
      '2': node('ImageScale', {
        image: ['1', 0],
        upscale_method: 'area',
        width: 770,
        height: 512,
        crop: 'center',
      }),
      '5': node('VAEEncode', { pixels: ['2', 0], vae: ['4', 2] }),
    });
    expect(onlyRequest(graph)).toMatchObject({ width: 768, height: 512 });
  });

  test.each([
    ['VAEEncodeForInpaint', { pixels: ['1', 0], vae: ['4', 2], mask: ['1', 1], grow_mask_by: 6 }],
    ['SetLatentNoiseMask', { samples: ['40', 0], mask: ['1', 1] }],
  ])('%s paints only a masked part', (classType, inputs) => {
    const graph = encoded({
      '5': node(classType, inputs),
      '40': node('VAEEncode', { pixels: ['1', 0], vae: ['4', 2] }),
    });
    expect(onlyStage(graph)).toMatchObject({ init: 'image', masked: true });
  });

  test('InpaintModelConditioning carries prompts and a masked latent', () => {
    const graph = encoded({
      '3': ksampler({ positive: ['30', 0], negative: ['30', 1], latent_image: ['30', 2] }),
      '30': node('InpaintModelConditioning', {
        positive: ['6', 0],
        negative: ['7', 0],
        vae: ['4', 2],
        pixels: ['1', 0],
        mask: ['1', 1],
        noise_mask: true,
      }),
    });
    const stage = onlyStage(graph);
    expect(stage).toMatchObject({ init: 'image', masked: true });
    expect(stage.request).toMatchObject({ prompt: 'a red fox', negative: 'blurry' });
    expect(lower(graph).descriptive.has('30')).toBe(false);
  });

  test('a sampler that denoises nothing hands its latent on', () => {
    const lowering = lower(encoded({ '3': ksampler({ denoise: 0 }) }));
    expect(lowering.stages).toEqual([]);
    expect(lowering.passThrough).toEqual(new Map([['3', 'latent_image']]));
  });
});
