import { describe, expect, test } from '@jest/globals';
import type { PromptGraph } from '@tiercel/contracts';
import { imageClasses, modelInputs } from './image-classes.ts';
import { flux, ksampler, lower, node, textToImage } from './test-graphs.ts';

const kinds = (graph: PromptGraph) =>
  lower(graph).obstacles.map(({ nodeId, kind }) => `${nodeId} ${kind}`);
/** A text-to-image graph whose positive prompt goes through node 20. */
const viaPrompt = (classType: string, inputs: PromptGraph[string]['inputs'], slot = 0) =>
  textToImage({
    '3': ksampler({ positive: ['20', slot] }),
    '20': node(classType, inputs),
    '21': node('CLIPTextEncode', { text: 'in snow', clip: ['4', 1] }),
    '22': node('LoadImage', { image: 'a.png' }),
    '23': node('ControlNetLoader', { control_net_name: 'canny' }),
    '24': node('CLIPVisionLoader', { clip_name: 'v' }),
    '25': node('CLIPVisionEncode', { clip_vision: ['24', 0], image: ['22', 0], crop: 'none' }),
    '26': node('StyleModelLoader', { style_model_name: 's' }),
  });
const viaModel = (classType: string, inputs: PromptGraph[string]['inputs'] = {}) =>
  textToImage({
    '3': ksampler({ model: ['20', 0] }),
    '20': node(classType, { model: ['4', 0], ...inputs }),
  });
const prompt = (graph: PromptGraph) => lower(graph).stages[0]?.request.prompt;

describe('prompts', () => {
  const both = { conditioning_1: ['6', 0], conditioning_2: ['21', 0] };
  const toFrom = { conditioning_to: ['6', 0], conditioning_from: ['21', 0] };

  test.each([
    ['ConditioningCombine', both, 'a red fox, in snow'],
    ['ConditioningConcat', toFrom, 'a red fox, in snow'],
    ['ConditioningAverage', { ...toFrom, conditioning_to_strength: 1 }, 'a red fox'],
    ['ConditioningAverage', { ...toFrom, conditioning_to_strength: 0 }, 'in snow'],
    ['ConditioningSetTimestepRange', { conditioning: ['6', 0], start: 0, end: 1 }, 'a red fox'],
  ])('%s can be told', (classType, inputs, text) => {
    const graph = viaPrompt(classType, inputs);
    expect(kinds(graph)).toEqual([]);
    expect(prompt(graph)).toBe(text);
  });

  test.each([
    ['ConditioningAverage', { ...toFrom, conditioning_to_strength: 0.5 }, 'shape'],
    ['ConditioningSetTimestepRange', { conditioning: ['6', 0], start: 0.2, end: 1 }, 'area'],
    ['ConditioningSetArea', { conditioning: ['6', 0], width: 64, height: 64, x: 0, y: 0 }, 'area'],
    ['ConditioningSetMask', { conditioning: ['6', 0], mask: ['22', 1], strength: 1 }, 'area'],
    [
      'unCLIPConditioning',
      { conditioning: ['6', 0], clip_vision_output: ['25', 0], strength: 1 },
      'clip_vision',
    ],
    [
      'StyleModelApply',
      {
        conditioning: ['6', 0],
        style_model: ['26', 0],
        clip_vision_output: ['25', 0],
        strength: 1,
      },
      'clip_vision',
    ],
    [
      'ControlNetApply',
      { conditioning: ['6', 0], control_net: ['23', 0], image: ['22', 0], strength: 0.8 },
      'controlnet',
    ],
    ['FancyEncode', { clip: ['4', 1] }, 'custom'],
  ])('%s cannot', (classType, inputs, kind) => {
    expect(kinds(viaPrompt(classType, inputs))).toEqual([`20 ${kind}`]);
  });

  test('an embedding is an obstacle and no word of the prompt', () => {
    const graph = textToImage({
      '7': node('CLIPTextEncode', { text: '(embedding:bad-hands:1.2), blurry', clip: ['4', 1] }),
    });
    expect(kinds(graph)).toEqual(['7 embedding']);
    expect(lower(graph).stages[0]?.request.negative).toBe('blurry');
  });
});

describe('ControlNet', () => {
  const apply = (strength: number) =>
    textToImage({
      '3': ksampler({ positive: ['20', 0], negative: ['20', 1] }),
      '20': node('ControlNetApplyAdvanced', {
        positive: ['6', 0],
        negative: ['7', 0],
        control_net: ['24', 0],
        image: ['22', 0],
        strength,
        start_percent: 0,
        end_percent: 1,
      }),
      '21': node('LoadImage', { image: 'a.png' }),
      '22': node('SomePreprocessor', { image: ['21', 0] }),
      '23': node('ControlNetLoader', { control_net_name: 'union' }),
      '24': node('SetUnionControlNetType', { control_net: ['23', 0], type: 'auto' }),
    });

  test('is an obstacle with a reason for a person, and none without strength', () => {
    expect(lower(apply(1)).obstacles).toEqual([
      {
        nodeId: '20',
        classType: 'ControlNetApplyAdvanced',
        kind: 'controlnet',
        reason:
          'node 20 (ControlNetApplyAdvanced) applies a ControlNet, which image services cannot',
      },
    ]);
    expect(lower(apply(0)).obstacles).toEqual([]);
  });

  test('left out, it leaves the prompts, and the nodes that only feed it need not run', () => {
    const { stages, descriptive } = lower(apply(1));
    expect(stages[0]?.request).toMatchObject({ prompt: 'a red fox', negative: 'blurry' });
    expect([...descriptive].sort()).toEqual(['20', '21', '22', '23', '24', '4', '6', '7']);
  });
});

describe('models', () => {
  test.each([
    ['LoraLoaderModelOnly', { lora_name: 'x', strength_model: 0.8 }, 'lora'],
    ['FreeU_V2', { b1: 1.3, b2: 1.4, s1: 0.9, s2: 0.2 }, 'model_patch'],
    ['RescaleCFG', { multiplier: 0.7 }, 'model_patch'],
    ['IPAdapterAdvanced', { ipadapter: ['30', 0], image: ['31', 0] }, 'ip_adapter'],
    ['ApplyIPAdapterFlux', {}, 'ip_adapter'],
    ['Power Lora Loader (rgthree)', {}, 'custom'],
    ['ModelMergeSimple', { model1: ['4', 0], model2: ['4', 0], ratio: 1 }, 'custom'],
  ])('%s is an obstacle', (classType, inputs, kind) => {
    expect(kinds(viaModel(classType, inputs))).toEqual([`20 ${kind}`]);
  });

  test.each([
    ['LoraLoaderModelOnly', { lora_name: 'x', strength_model: 0 }],
    ['ModelSamplingDiscrete', { sampling: 'lcm', zsnr: false }],
    ['TomePatchModel', { ratio: 0.3 }],
  ])('%s is none', (classType, inputs) => {
    const graph = viaModel(classType, inputs);
    expect(kinds(graph)).toEqual([]);
    expect(lower(graph).stages[0]?.request.checkpoint).toBe('sd15.safetensors');
  });

  test('a LoRA with one strength of two is an obstacle, in words for a person', () => {
    const lora = (strength_clip: number) =>
      textToImage({
        '3': ksampler({ model: ['12', 0] }),
        '6': node('CLIPTextEncode', { text: 'a red fox', clip: ['12', 1] }),
        '12': node('LoraLoader', {
          model: ['4', 0],
          clip: ['4', 1],
          lora_name: 'x',
          strength_model: 0,
          strength_clip,
        }),
      });
    expect(lower(lora(1)).obstacles[0]?.reason).toBe(
      'node 12 (LoraLoader) applies a LoRA, which image services cannot',
    );
    expect(kinds(lora(0))).toEqual([]);
  });

  test('a loader or a decoder of an unknown class is named', () => {
    const loader = textToImage({ '4': node('FancyCheckpointLoader', { name: 'x' }) });
    expect(kinds(loader)).toEqual(['4 custom']);
    const decoder = textToImage({ '8': node('FancyDecode', { samples: ['3', 0], vae: ['4', 2] }) });
    expect(kinds(decoder)).toEqual(['8 custom']);
  });
});

describe('custom sampling', () => {
  test.each([
    ['22', node('DualCFGGuider', { model: ['12', 0], cond1: ['6', 0], cond2: ['6', 0] })],
    ['17', node('FlipSigmas', { sigmas: ['40', 0] })],
  ])('node %s cannot be told', (id, changed) => {
    const graph = flux({
      [id]: changed,
      '40': node('KarrasScheduler', { steps: 10, sigma_max: 14, sigma_min: 0.03, rho: 7 }),
    });
    expect(kinds(graph)).toEqual([`${id} shape`]);
  });

  test.each(['16', '17', '25'])('node %s of an unknown class is named', (id) => {
    expect(kinds(flux({ [id]: node('Fancy', { model: ['12', 0] }) }))).toEqual([`${id} custom`]);
  });
});

describe('the catalogue of known classes', () => {
  test('has every model input, without files', () => {
    for (const [classType, inputs] of modelInputs) {
      for (const { input } of inputs) {
        const spec = imageClasses[classType]?.input.required?.[input];
        expect(spec?.[0] === 'COMBO' ? spec[1]?.options : spec?.[0]).toEqual([]);
      }
    }
  });

  test('keeps the limits of 64-bit seeds exact', () => {
    const [, options] = imageClasses.KSampler?.input.required?.seed ?? [];
    expect(options).toMatchObject({ min: 0, max: 0xffff_ffff_ffff_ffffn });
  });

  test('declares outputs for the lowering to read', () => {
    for (const [name, info] of Object.entries(imageClasses)) {
      expect(info.name).toBe(name);
      expect(info.output.length).toBeGreaterThan(0);
    }
  });
});
