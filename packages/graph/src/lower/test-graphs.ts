import type { JsonObject, PromptGraph } from '@tiercel/contracts';
import { readNodes } from '../graph-nodes.ts';
import { lowerGraph } from './lower-graph.ts';

/** Test support: the usual shapes of prompts, to be changed node by node. */
type Inputs = JsonObject;
export const node = (class_type: string, inputs: Inputs = {}) => ({ class_type, inputs });

export const ksampler = (over: Inputs = {}) =>
  node('KSampler', {
    seed: 7,
    steps: 20,
    cfg: 7.5,
    sampler_name: 'euler',
    scheduler: 'normal',
    denoise: 1,
    model: ['4', 0],
    positive: ['6', 0],
    negative: ['7', 0],
    latent_image: ['5', 0],
    ...over,
  });

export const advanced = (over: Inputs = {}) =>
  node('KSamplerAdvanced', {
    add_noise: 'enable',
    noise_seed: 7,
    steps: 25,
    cfg: 8,
    sampler_name: 'euler',
    scheduler: 'normal',
    start_at_step: 0,
    end_at_step: 20,
    return_with_leftover_noise: 'enable',
    model: ['4', 0],
    positive: ['6', 0],
    negative: ['7', 0],
    latent_image: ['5', 0],
    ...over,
  });

/** SD 1.5 text to image as ComfyUI's default prompt has it; the output is node 9. */
export const textToImage = (over: PromptGraph = {}): PromptGraph => ({
  '3': ksampler(),
  '4': node('CheckpointLoaderSimple', { ckpt_name: 'sd15.safetensors' }),
  '5': node('EmptyLatentImage', { width: 512, height: 768, batch_size: 2 }),
  '6': node('CLIPTextEncode', { text: 'a red fox', clip: ['4', 1] }),
  '7': node('CLIPTextEncode', { text: 'blurry', clip: ['4', 1] }),
  '8': node('VAEDecode', { samples: ['3', 0], vae: ['4', 2] }),
  '9': node('SaveImage', { images: ['8', 0], filename_prefix: 'x' }),
  ...over,
});

/** Flux with SamplerCustomAdvanced and FluxGuidance; the output is node 9. */
export const flux = (over: PromptGraph = {}): PromptGraph => ({
  '5': node('EmptySD3LatentImage', { width: 1024, height: 1024, batch_size: 1 }),
  '6': node('CLIPTextEncode', { text: 'a glass owl', clip: ['11', 0] }),
  '8': node('VAEDecode', { samples: ['13', 0], vae: ['10', 0] }),
  '9': node('SaveImage', { images: ['8', 0], filename_prefix: 'x' }),
  '10': node('VAELoader', { vae_name: 'ae.safetensors' }),
  '11': node('DualCLIPLoader', { clip_name1: 't5', clip_name2: 'l', type: 'flux' }),
  '12': node('UNETLoader', { unet_name: 'flux1-dev.safetensors', weight_dtype: 'default' }),
  '13': node('SamplerCustomAdvanced', {
    noise: ['25', 0],
    guider: ['22', 0],
    sampler: ['16', 0],
    sigmas: ['17', 0],
    latent_image: ['5', 0],
  }),
  '16': node('KSamplerSelect', { sampler_name: 'euler' }),
  '17': node('BasicScheduler', { model: ['30', 0], scheduler: 'simple', steps: 20, denoise: 1 }),
  '22': node('BasicGuider', { model: ['30', 0], conditioning: ['26', 0] }),
  '25': node('RandomNoise', { noise_seed: 99 }),
  '26': node('FluxGuidance', { conditioning: ['6', 0], guidance: 3.5 }),
  '30': node('ModelSamplingFlux', {
    model: ['12', 0],
    max_shift: 1.15,
    base_shift: 0.5,
    width: 1024,
    height: 1024,
  }),
  ...over,
});

/** What the outputs ask for; node 9 unless told otherwise. */
export const lower = (graph: PromptGraph, ...outputs: string[]) =>
  lowerGraph(readNodes(graph), outputs.length > 0 ? outputs : ['9']);

/** The one stage of a graph without obstacles. @throws Error for any other graph */
export function onlyStage(graph: PromptGraph) {
  const { stages, obstacles } = lower(graph);
  const [stage] = stages;
  if (stage === undefined || stages.length > 1 || obstacles.length > 0) {
    throw new Error(`${stages.length} stages; ${obstacles.map(({ reason }) => reason).join('; ')}`);
  }
  return stage;
}

export const onlyRequest = (graph: PromptGraph) => onlyStage(graph).request;
