import { describe, expect, test } from '@jest/globals';
import { flux, lower, node, onlyRequest, onlyStage, textToImage } from './test-graphs.ts';

describe('custom sampling', () => {
  test('reads Flux with its guider, sigmas, noise and guidance', () => {
    const lowering = lower(flux());
    expect(lowering.obstacles).toEqual([]);
    expect(lowering.stages).toMatchObject([
      {
        nodeId: '13',
        init: 'empty',
        request: {
          prompt: 'a glass owl',
          negative: '',
          seed: 99,
          steps: 20,
          cfg: 1,
          guidance: 3.5,
          sampler: 'euler',
          scheduler: 'simple',
          denoise: 1,
          width: 1024,
          checkpoint: 'flux1-dev.safetensors',
        },
      },
    ]);
    expect(lowering.descriptive).toEqual(
      new Set(['6', '10', '11', '12', '16', '17', '22', '25', '26', '30']),
    );
  });

  test('reads the texts and the guidance of CLIPTextEncodeFlux', () => {
    const graph = flux({
      '26': node('CLIPTextEncodeFlux', {
        clip: ['11', 0],
        clip_l: 'owl',
        t5xxl: 'an owl of glass',
        guidance: 2,
      }),
    });
    expect(onlyRequest(graph)).toMatchObject({ prompt: 'an owl of glass', guidance: 2 });
  });

  test('two halves of split sigmas are one stage; the first as a picture makes two', () => {
    const split = (slot: number) =>
      flux({
        '13': node('SamplerCustomAdvanced', {
          noise: ['25', 0],
          guider: ['22', 0],
          sampler: ['16', 0],
          sigmas: ['40', 0],
          latent_image: ['5', 0],
        }),
        '40': node('SplitSigmas', { sigmas: ['17', 0], step: 15 }),
        '41': node('SamplerCustomAdvanced', {
          noise: ['42', 0],
          guider: ['22', 0],
          sampler: ['16', 0],
          sigmas: ['40', 1],
          latent_image: ['13', slot],
        }),
        '42': node('DisableNoise'),
        '8': node('VAEDecode', { samples: ['41', 0], vae: ['10', 0] }),
      });
    expect(onlyStage(split(0))).toMatchObject({ nodeId: '41', request: { steps: 20, seed: 99 } });
    const { stages } = lower(split(1));
    expect(stages.map(({ nodeId, init }) => [nodeId, init])).toEqual([
      ['13', 'empty'],
      ['41', 'stage'],
    ]);
    expect(stages[1]?.request).toMatchObject({ steps: 5, denoise: 0.25 });
  });

  test.each([
    [
      node('BasicScheduler', { model: ['12', 0], scheduler: 'beta', steps: 8, denoise: 0.5 }),
      'beta',
      8,
      0.5,
    ],
    [node('KarrasScheduler', { steps: 9, sigma_max: 14, sigma_min: 0.03, rho: 7 }), 'karras', 9, 1],
    [node('SDTurboScheduler', { model: ['12', 0], steps: 4, denoise: 0.3 }), 'sd_turbo', 3, 0.3],
    [
      node('AlignYourStepsScheduler', { model_type: 'SDXL', steps: 10, denoise: 0.4 }),
      'align_your_steps',
      4,
      0.4,
    ],
    [node('SplitSigmasDenoise', { sigmas: ['50', 0], denoise: 0.5 }), 'karras', 5, 1],
  ])('counts the steps of %j', (sigmas, scheduler, steps, denoise) => {
    const graph = flux({
      '17': sigmas,
      '50': node('KarrasScheduler', { steps: 10, sigma_max: 14, sigma_min: 0.03, rho: 7 }),
    });
    expect(lower(graph).stages[0]?.request).toMatchObject({ scheduler, steps, denoise });
  });

  test('reads SamplerCustom with SD3 texts', () => {
    const graph = textToImage({
      '3': node('SamplerCustom', {
        model: ['40', 0],
        add_noise: true,
        noise_seed: 5,
        cfg: 4.5,
        positive: ['6', 0],
        negative: ['41', 0],
        sampler: ['42', 0],
        sigmas: ['43', 0],
        latent_image: ['5', 0],
      }),
      '5': node('EmptySD3LatentImage', { width: 1024, height: 1024, batch_size: 1 }),
      '6': node('CLIPTextEncodeSD3', {
        clip: ['44', 0],
        clip_l: 'a fox',
        clip_g: 'a fox',
        t5xxl: 'a fox asleep',
        empty_padding: 'none',
      }),
      '40': node('ModelSamplingSD3', { model: ['4', 0], shift: 3 }),
      '41': node('ConditioningZeroOut', { conditioning: ['7', 0] }),
      '42': node('SamplerDPMPP_2M_SDE', {
        solver_type: 'midpoint',
        eta: 1,
        s_noise: 1,
        noise_device: 'gpu',
      }),
      '43': node('BasicScheduler', {
        model: ['40', 0],
        scheduler: 'sgm_uniform',
        steps: 28,
        denoise: 1,
      }),
      '44': node('TripleCLIPLoader', { clip_name1: 'l', clip_name2: 'g', clip_name3: 't5' }),
    });
    expect(onlyRequest(graph)).toMatchObject({
      prompt: 'a fox asleep',
      negative: '',
      seed: 5,
      cfg: 4.5,
      sampler: 'dpmpp_2m_sde',
      scheduler: 'sgm_uniform',
      steps: 28,
    });
  });
});
