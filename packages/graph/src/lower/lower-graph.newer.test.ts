import { describe, expect, test } from '@jest/globals';
import type { JsonObject } from '@tiercel/contracts';
import { flux, ksampler, lower, node, onlyRequest, onlyStage, textToImage } from './test-graphs.ts';

/** What graphs of newer families have: their encoders, patches, schedules, latents and switches. */

const obstacles = (graph: ReturnType<typeof textToImage>) =>
  lower(graph).obstacles.map(({ nodeId, kind }) => `${nodeId} ${kind}`);

const withPositive = (classType: string, inputs: JsonObject, slot = 0) =>
  textToImage({
    '3': ksampler({ positive: ['20', slot] }),
    '20': node(classType, { clip: ['4', 1], ...inputs }),
    '21': node('LoadImage', { image: 'a.png' }),
    '22': node('VAEEncode', { pixels: ['21', 0], vae: ['4', 2] }),
  });

describe('encoders', () => {
  test.each<[classType: string, inputs: JsonObject, prompt: string]>([
    ['TextEncodeQwenImageEdit', { prompt: 'a kite' }, 'a kite'],
    ['TextEncodeQwenImageEditPlus', { prompt: 'a kite' }, 'a kite'],
    ['TextEncodeZImageOmni', { prompt: 'a kite', auto_resize_images: true }, 'a kite'],
    ['TextEncodeBooguEdit', { prompt: 'a kite', negative_prompt: 'fog' }, 'a kite'],
    ['CLIPTextEncodeKandinsky5', { qwen25_7b: 'a kite', clip_l: 'kite' }, 'a kite'],
    ['CLIPTextEncodeControlnet', { conditioning: ['6', 0], text: 'edges' }, 'a red fox'],
    ['FluxKontextMultiReferenceLatentMethod', { conditioning: ['6', 0] }, 'a red fox'],
  ])('%s tells its text', (classType, inputs, prompt) => {
    expect(onlyRequest(withPositive(classType, inputs)).prompt).toBe(prompt);
  });

  test.each<[classType: string, inputs: JsonObject, kind: string]>([
    ['TextEncodeQwenImageEdit', { prompt: 'a kite', image: ['21', 0] }, 'clip_vision'],
    ['TextEncodeQwenImageEditPlus', { prompt: 'a kite', image2: ['21', 0] }, 'clip_vision'],
    ['TextEncodeJoyImageEdit', { prompt: 'a kite', 'images.image3': ['21', 0] }, 'clip_vision'],
    ['ReferenceLatent', { conditioning: ['6', 0], latent: ['22', 0] }, 'clip_vision'],
    ['ConditioningMultiply', { conditioning: ['6', 0], multiplier: 2 }, 'area'],
    ['ConditioningSetProperties', { cond_NEW: ['6', 0], strength: 1, mask: ['21', 1] }, 'area'],
    ['LotusConditioning', {}, 'shape'],
  ])('%s with what a service cannot take is an obstacle', (classType, inputs, kind) => {
    expect(obstacles(withPositive(classType, inputs))).toEqual([`20 ${kind}`]);
  });

  test('pairs are joined side by side', () => {
    const graph = textToImage({
      '3': ksampler({ positive: ['20', 0], negative: ['20', 1] }),
      '10': node('CLIPTextEncode', { text: 'at dusk', clip: ['4', 1] }),
      '11': node('CLIPTextEncode', { text: 'noise', clip: ['4', 1] }),
      '20': node('PairConditioningCombine', {
        ...{ positive_A: ['6', 0], negative_A: ['7', 0] },
        ...{ positive_B: ['10', 0], negative_B: ['11', 0] },
      }),
    });
    expect(onlyRequest(graph)).toMatchObject({
      ...{ prompt: 'a red fox, at dusk', negative: 'blurry, noise' },
    });
  });
});

describe('models', () => {
  const viaModel = (classType: string, inputs: JsonObject = {}) =>
    textToImage({
      '3': ksampler({ model: ['20', 0] }),
      '20': node(classType, { model: ['4', 0], ...inputs }),
      '21': node('ModelPatchLoader', { name: 'union.safetensors' }),
      '22': node('LoadImage', { image: 'a.png' }),
    });

  test.each(['ModelAttentionBackend', 'FluxKVCache', 'SelectModelDevice'])('%s is none', (name) => {
    expect(onlyRequest(viaModel(name)).checkpoint).toBe('sd15.safetensors');
  });

  test.each<[classType: string, inputs: JsonObject, kind: string]>([
    ['LoraLoaderBypassModelOnly', { lora_name: 'x', strength_model: 1 }, 'lora'],
    ['QwenImageDiffsynthControlnet', { image: ['22', 0], strength: 1 }, 'controlnet'],
    ['AnimaLLLiteApply', { image: ['22', 0], strength: 0.5 }, 'controlnet'],
    ['USOStyleReference', {}, 'clip_vision'],
    ['NAGuidance', { nag_scale: 5 }, 'model_patch'],
  ])('%s is an obstacle', (classType, inputs, kind) => {
    const graph = viaModel(classType, { ...inputs, model_patch: ['21', 0] });
    expect(obstacles(graph)).toEqual([`20 ${kind}`]);
    expect(lower(graph).descriptive).toContain('21');
  });
});

describe('schedules, guiders and latents', () => {
  test.each<[classType: string, inputs: JsonObject, steps: number]>([
    ['Flux2Scheduler', { steps: 12, width: 1024, height: 1024 }, 12],
    ['Ideogram4Scheduler', { steps: 9, width: 64, height: 64, mu: 0.5, std: 1 }, 9],
    ['ManualSigmas', { sigmas: '1.0, 0.8, 0.4, 0.0' }, 3],
  ])('%s tells its steps', (classType, inputs, steps) => {
    expect(onlyRequest(flux({ '17': node(classType, inputs) })).steps).toBe(steps);
  });

  test('a guider with a second model for its negative', () => {
    const guider = node('DualModelGuider', {
      ...{ model: ['30', 0], positive: ['26', 0], model_negative: ['12', 0], cfg: 5 },
    });
    expect(onlyRequest(flux({ '22': guider }))).toMatchObject({
      ...{ prompt: 'a glass owl', negative: '', cfg: 5, checkpoint: 'flux1-dev.safetensors' },
    });
  });

  test.each<[classType: string, inputs: JsonObject, size: (number | undefined)[]]>([
    ['EmptyFlux2LatentImage', { width: 1000, height: 500, batch_size: 2 }, [992, 496, 2]],
    ['EmptyHiDreamO1LatentImage', { width: 1000, height: 500, batch_size: 1 }, [992, 480, 1]],
    [
      'EmptyQwenImageLayeredLatentImage',
      { width: 640, height: 640, layers: 3, batch_size: 1 },
      [640, 640, 4],
    ],
  ])('%s tells its size', (classType, inputs, size) => {
    const { width, height, batch } = onlyRequest(textToImage({ '5': node(classType, inputs) }));
    expect([width, height, batch]).toEqual(size);
  });

  test('a size that only the run can tell is left to it', () => {
    const graph = textToImage({
      '5': node('EmptyLatentImage', { width: ['20', 0], height: ['20', 1], batch_size: 1 }),
      '20': node('GetImageSize', { image: ['21', 0] }),
      '21': node('LoadImage', { image: 'a.png' }),
    });
    expect(onlyRequest(graph)).toMatchObject({ width: undefined, height: undefined, batch: 1 });
  });

  test('a picture that goes through the model gives its size to the latent', () => {
    const graph = textToImage({
      '3': ksampler({ positive: ['20', 0], negative: ['20', 1], latent_image: ['20', 2] }),
      '20': node('InstructPixToPixConditioning', {
        ...{ positive: ['6', 0], negative: ['7', 0], vae: ['4', 2], pixels: ['21', 0] },
      }),
      '21': node('EmptyImage', { width: 200, height: 100, batch_size: 1, color: 0 }),
    });
    const { stages, descriptive } = lower(graph);
    expect(obstacles(graph)).toEqual(['20 controlnet']);
    expect(stages[0]).toMatchObject({ init: 'empty', request: { width: 200, height: 96 } });
    expect(descriptive).not.toContain('20');
  });
});

describe('a switch', () => {
  const other = (isOn: boolean | [string, number]) =>
    textToImage({
      '8': node('VAEDecode', { samples: ['20', 0], vae: ['4', 2] }),
      '10': node('PrimitiveBoolean', { value: true }),
      '11': node('LoraLoaderModelOnly', {
        ...{ model: ['4', 0], lora_name: 'x', strength_model: 1 },
      }),
      '12': ksampler({ model: ['11', 0], seed: 8 }),
      '20': node('ComfySwitchNode', { switch: isOn, on_true: ['3', 0], on_false: ['12', 0] }),
    });

  test.each<[isOn: boolean | [string, number]]>([[true], [['10', 0]]])(
    'asks only for the branch that it hands on (%j)',
    (isOn) => {
      expect(onlyStage(other(isOn))).toMatchObject({ nodeId: '3', request: { seed: 7 } });
    },
  );

  test('has the obstacles of that branch only', () => {
    const graph = other(false);
    expect(obstacles(graph)).toEqual(['11 lora']);
    expect(lower(graph).stages.map(({ nodeId }) => nodeId)).toEqual(['12']);
  });

  test('between models describes as they do', () => {
    const graph = textToImage({
      '3': ksampler({ model: ['20', 0] }),
      '12': node('CheckpointLoaderSimple', { ckpt_name: 'other.safetensors' }),
      '20': node('ComfySwitchNode', { switch: false, on_true: ['4', 0], on_false: ['12', 0] }),
    });
    expect(onlyRequest(graph).checkpoint).toBe('other.safetensors');
    expect(lower(graph).descriptive).toContain('20');
  });

  test('that only the run can set is named', () => {
    const graph = {
      ...other(true),
      '10': node('SomeFlag'),
      '20': node('ComfySwitchNode', { switch: ['10', 0], on_true: ['3', 0] }),
    };
    expect(lower(graph).obstacles[0]?.reason).toMatch(/node 10 \(SomeFlag\) makes the "switch"/);
  });
});
