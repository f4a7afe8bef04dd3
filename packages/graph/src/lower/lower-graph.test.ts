import { describe, expect, test } from '@jest/globals';
import { parseJson, stringifyJson, type PromptGraph } from '@tiercel/contracts';
import { lowerGraph } from './lower-graph.ts';
import { advanced, flux, ksampler, node, textToImage } from './test-graphs.ts';

const lower = (graph: PromptGraph, ...outputs: string[]) =>
  lowerGraph(graph, outputs.length > 0 ? outputs : ['9']);
/** The one stage of a graph without obstacles. */
function onlyStage(graph: PromptGraph) {
  const { stages, obstacles } = lower(graph);
  expect(obstacles).toEqual([]);
  expect(stages).toHaveLength(1);
  return stages[0]!;
}
const onlyRequest = (graph: PromptGraph) => onlyStage(graph).request;

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
