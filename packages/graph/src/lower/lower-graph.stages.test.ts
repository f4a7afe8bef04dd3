import { describe, expect, test } from '@jest/globals';
import type { PromptGraph } from '@tiercel/contracts';
import {
  advanced,
  ksampler,
  lower,
  node,
  onlyRequest,
  onlyStage,
  textToImage,
} from './test-graphs.ts';

describe('several samplers', () => {
  const hires = (between: PromptGraph, from = '20') =>
    textToImage({
      ...between,
      '30': ksampler({ seed: 8, denoise: 0.5, latent_image: [from, 0] }),
      '8': node('VAEDecode', { samples: ['30', 0], vae: ['4', 2] }),
    });

  test('a hires fix is two stages, the second from the first', () => {
    const up = { samples: ['3', 0], upscale_method: 'bislerp', scale_by: 1.5 };
    const { stages, obstacles, passThrough } = lower(hires({ '20': node('LatentUpscaleBy', up) }));
    expect(obstacles).toEqual([]);
    expect(passThrough.size).toBe(0);
    expect(stages.map(({ nodeId, init, request }) => [nodeId, init, request.width])).toEqual([
      ['3', 'empty', 512],
      ['30', 'stage', 768],
    ]);
    expect(stages[1]?.request).toMatchObject({ height: 1152, batch: 2, denoise: 0.5, seed: 8 });
  });

  test('a hires fix over pixels starts from the stage as well', () => {
    const { stages, descriptive } = lower(
      hires(
        {
          '20': node('VAEDecode', { samples: ['3', 0], vae: ['4', 2] }),
          '21': node('SomeSharpener', { image: ['20', 0] }),
          '22': node('VAEEncode', { pixels: ['21', 0], vae: ['4', 2] }),
        },
        '22',
      ),
    );
    expect(stages.map(({ init }) => init)).toEqual(['empty', 'stage']);
    expect(descriptive.has('21')).toBe(false);
  });

  test('independent samplers are all stages', () => {
    const graph = textToImage({
      '30': ksampler({ seed: 8 }),
      '31': node('VAEDecode', { samples: ['30', 0], vae: ['4', 2] }),
      '32': node('PreviewImage', { images: ['31', 0] }),
    });
    const { stages } = lower(graph, '9', '32');
    expect(stages.map(({ nodeId, init }) => [nodeId, init])).toEqual([
      ['3', 'empty'],
      ['30', 'empty'],
    ]);
  });

  test('a mask set once stays through the next sampler', () => {
    const graph = hires({
      '5': node('SetLatentNoiseMask', { samples: ['21', 0], mask: ['22', 0] }),
      '20': node('LatentUpscale', {
        samples: ['3', 0],
        upscale_method: 'area',
        width: 0,
        height: 1536,
        crop: 'disabled',
      }),
      '21': node('EmptyLatentImage', { width: 512, height: 768, batch_size: 3 }),
      '22': node('SolidMask', { value: 1, width: 64, height: 64 }),
    });
    const { stages } = lower(graph);
    expect(stages.map(({ masked, request }) => [masked, request.width, request.batch])).toEqual([
      [true, 512, 3],
      [true, 1024, 3],
    ]);
  });
});

describe('base and refiner', () => {
  const refined = (over: PromptGraph = {}, base = {}, refiner = {}) =>
    textToImage({
      '3': advanced(base),
      '6': node('CLIPTextEncodeSDXL', {
        text_g: 'a red fox',
        text_l: 'oil on canvas',
        width: 1024,
        height: 1024,
        crop_w: 0,
        crop_h: 0,
        target_width: 1024,
        target_height: 1024,
        clip: ['4', 1],
      }),
      '40': node('CheckpointLoaderSimple', { ckpt_name: 'refiner.safetensors' }),
      '41': node('CLIPTextEncodeSDXLRefiner', {
        ascore: 6,
        width: 1024,
        height: 1024,
        text: 'a fox',
        clip: ['40', 1],
      }),
      '42': advanced({
        add_noise: 'disable',
        noise_seed: 0,
        start_at_step: 20,
        end_at_step: 10000,
        return_with_leftover_noise: 'disable',
        model: ['40', 0],
        positive: ['41', 0],
        latent_image: ['3', 0],
        ...refiner,
      }),
      '8': node('VAEDecode', { samples: ['42', 0], vae: ['40', 2] }),
      ...over,
    });

  test('over one schedule they are one stage, asked as the base asks', () => {
    const { passThrough } = lower(refined());
    expect(passThrough).toEqual(new Map([['3', 'latent_image']]));
    const stage = onlyStage(refined());
    expect(stage).toMatchObject({ nodeId: '42', classType: 'KSamplerAdvanced', init: 'empty' });
    expect(stage.request).toMatchObject({
      prompt: 'a red fox, oil on canvas',
      checkpoint: 'sd15.safetensors',
      seed: 7,
      steps: 25,
      denoise: 1,
      width: 512,
    });
  });

  test('three samplers over one schedule are one stage, too', () => {
    const graph = refined(
      {
        '50': advanced({
          add_noise: 'disable',
          start_at_step: 22,
          end_at_step: 10000,
          return_with_leftover_noise: 'disable',
          latent_image: ['42', 0],
        }),
        '8': node('VAEDecode', { samples: ['50', 0], vae: ['4', 2] }),
      },
      {},
      { end_at_step: 22, return_with_leftover_noise: 'enable' },
    );
    expect(onlyStage(graph)).toMatchObject({ nodeId: '50', request: { seed: 7, steps: 25 } });
    expect([...lower(graph).passThrough.keys()]).toEqual(['3', '42']);
  });

  test('a picture in between that is shown has to be made', () => {
    const graph = refined({
      '60': node('VAEDecode', { samples: ['3', 0], vae: ['4', 2] }),
      '61': node('PreviewImage', { images: ['60', 0] }),
    });
    const { stages, passThrough, obstacles } = lower(graph, '9', '61');
    expect(obstacles).toEqual([]);
    expect(passThrough.size).toBe(0);
    expect(stages.map(({ nodeId, init }) => [nodeId, init])).toEqual([
      ['3', 'empty'],
      ['42', 'stage'],
    ]);
    expect(stages[1]?.request).toMatchObject({ steps: 5, denoise: 0.2, seed: undefined });
  });

  test('a refiner that adds noise starts from the picture of the base', () => {
    const { stages, obstacles } = lower(
      refined({}, { return_with_leftover_noise: 'disable' }, { add_noise: 'enable' }),
    );
    expect(obstacles).toEqual([]);
    expect(stages.map(({ init, request }) => [init, request.denoise, request.steps])).toEqual([
      ['empty', 1, 20],
      ['stage', 0.2, 5],
    ]);
  });

  test('noise left for nobody is an obstacle', () => {
    const graph = textToImage({ '3': advanced() });
    expect(lower(graph).obstacles).toMatchObject([{ nodeId: '3', kind: 'shape' }]);
    const full = textToImage({ '3': advanced({ end_at_step: 25 }) });
    expect(onlyRequest(full)).toMatchObject({ steps: 25, denoise: 1 });
  });

  test('no step to run means no stage', () => {
    const { stages, passThrough } = lower(textToImage({ '3': advanced({ start_at_step: 25 }) }));
    expect(stages).toEqual([]);
    expect([...passThrough.keys()]).toEqual(['3']);
  });
});
