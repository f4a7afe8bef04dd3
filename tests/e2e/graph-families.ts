/** Graphs of our own in the shapes that the usual families of models are used in, with published file names. */

export type Graph = Record<string, { class_type: string; inputs: Record<string, unknown> }>;

const node = (class_type: string, inputs: Record<string, unknown>) => ({ class_type, inputs });

const SIZE = { width: 64, height: 64, batch_size: 1 };
const METHOD = { steps: 2, cfg: 4, sampler_name: 'euler', scheduler: 'simple' };

/** A decoder and a saver behind a sampler. */
function shown(samples: string, vae: readonly [string, number]): Graph {
  return {
    decode: node('VAEDecode', { samples: [samples, 0], vae }),
    save: node('SaveImage', { images: ['decode', 0], filename_prefix: 'family' }),
  };
}

function encoded(clip: readonly [string, number], text = 'a paper boat'): Graph {
  return {
    positive: node('CLIPTextEncode', { clip, text }),
    negative: node('CLIPTextEncode', { clip, text: 'fog' }),
  };
}

const PROMPTS = { positive: ['positive', 0], negative: ['negative', 0] };

/** A model, an encoder and a decoder of three files, as the newer families come. */
function split(unet: string, clip: string, type: string, vae: string): Graph {
  return {
    unet: node('UNETLoader', { unet_name: unet, weight_dtype: 'default' }),
    clip: node('CLIPLoader', { clip_name: clip, type, device: 'default' }),
    vae: node('VAELoader', { vae_name: vae }),
  };
}

function sampled(model: string, latent: string, more: Record<string, unknown> = {}) {
  const inputs = { model: [model, 0], latent_image: [latent, 0], seed: 3, denoise: 1 };
  return node('KSampler', { ...METHOD, ...PROMPTS, ...inputs, ...more });
}

export const families: Readonly<Record<string, Graph>> = {
  'SD 1.5 with a LoRA and a ControlNet': {
    ckpt: node('CheckpointLoaderSimple', { ckpt_name: 'v1-5-pruned-emaonly.ckpt' }),
    lora: node('LoraLoader', {
      ...{ model: ['ckpt', 0], clip: ['ckpt', 1], lora_name: 'my/own style.safetensors' },
      ...{ strength_model: 0.8, strength_clip: 1 },
    }),
    skip: node('CLIPSetLastLayer', { clip: ['lora', 1], stop_at_clip_layer: -2 }),
    ...encoded(['skip', 0]),
    net: node('ControlNetLoader', { control_net_name: 'control_v11p_sd15_scribble.pth' }),
    hint: node('LoadImage', { image: 'picture.png' }),
    control: node('ControlNetApplyAdvanced', {
      ...{ ...PROMPTS, control_net: ['net', 0], image: ['hint', 0] },
      ...{ strength: 1, start_percent: 0, end_percent: 1 },
    }),
    empty: node('EmptyLatentImage', SIZE),
    sample: sampled('lora', 'empty', { positive: ['control', 0], negative: ['control', 1] }),
    ...shown('sample', ['ckpt', 2]),
  },
  'SDXL, a base and a refiner': {
    base: node('CheckpointLoaderSimple', { ckpt_name: 'sd_xl_base_1.0.safetensors' }),
    refiner: node('CheckpointLoaderSimple', { ckpt_name: 'sd_xl_refiner_1.0.safetensors' }),
    positive: node('CLIPTextEncodeSDXL', {
      ...{ clip: ['base', 1], text_g: 'a paper boat', text_l: 'a boat', width: 64, height: 64 },
      ...{ crop_w: 0, crop_h: 0, target_width: 64, target_height: 64 },
    }),
    negative: node('CLIPTextEncode', { clip: ['base', 1], text: 'fog' }),
    refined: node('CLIPTextEncodeSDXLRefiner', {
      ...{ clip: ['refiner', 1], ascore: 6, width: 64, height: 64, text: 'a paper boat' },
    }),
    empty: node('EmptyLatentImage', SIZE),
    first: node('KSamplerAdvanced', {
      ...{ ...METHOD, ...PROMPTS, model: ['base', 0], latent_image: ['empty', 0] },
      ...{ add_noise: 'enable', noise_seed: 4, steps: 5, start_at_step: 0, end_at_step: 4 },
      return_with_leftover_noise: 'enable',
    }),
    second: node('KSamplerAdvanced', {
      ...{ ...METHOD, model: ['refiner', 0], latent_image: ['first', 0] },
      ...{ positive: ['refined', 0], negative: ['negative', 0] },
      ...{ add_noise: 'disable', noise_seed: 0, steps: 5, start_at_step: 4, end_at_step: 10_000 },
      return_with_leftover_noise: 'disable',
    }),
    ...shown('second', ['refiner', 2]),
  },
  'SD 3 with three encoders': {
    ckpt: node('CheckpointLoaderSimple', {
      ckpt_name: 'sd3_medium_incl_clips_t5xxlfp8.safetensors',
    }),
    clip: node('TripleCLIPLoader', {
      clip_name1: 'clip_g.safetensors',
      clip_name2: 'clip_l.safetensors',
      clip_name3: 't5xxl_fp16.safetensors',
    }),
    shift: node('ModelSamplingSD3', { model: ['ckpt', 0], shift: 3 }),
    ...encoded(['clip', 0]),
    zero: node('ConditioningZeroOut', { conditioning: ['negative', 0] }),
    late: node('ConditioningSetTimestepRange', { conditioning: ['zero', 0], start: 0.1, end: 1 }),
    early: node('ConditioningSetTimestepRange', {
      ...{ conditioning: ['negative', 0], start: 0, end: 0.1 },
    }),
    both: node('ConditioningCombine', {
      conditioning_1: ['late', 0],
      conditioning_2: ['early', 0],
    }),
    empty: node('EmptySD3LatentImage', SIZE),
    sample: sampled('shift', 'empty', { negative: ['both', 0] }),
    ...shown('sample', ['ckpt', 2]),
  },
  'Flux with a sampler of parts': {
    unet: node('UNETLoader', { unet_name: 'flux1-dev.sft', weight_dtype: 'fp8_e4m3fn' }),
    clip: node('DualCLIPLoader', {
      clip_name1: 't5xxl_fp8_e4m3fn.safetensors',
      clip_name2: 'clip_l.safetensors',
      type: 'flux',
    }),
    vae: node('VAELoader', { vae_name: 'ae.sft' }),
    ...encoded(['clip', 0]),
    guidance: node('FluxGuidance', { conditioning: ['positive', 0], guidance: 3.5 }),
    shift: node('ModelSamplingFlux', {
      ...{ model: ['unet', 0], max_shift: 1.15, base_shift: 0.5, width: 64, height: 64 },
    }),
    guider: node('BasicGuider', { model: ['shift', 0], conditioning: ['guidance', 0] }),
    noise: node('RandomNoise', { noise_seed: 18_446_744 }),
    method: node('KSamplerSelect', { sampler_name: 'euler' }),
    sigmas: node('BasicScheduler', {
      ...{ model: ['shift', 0], scheduler: 'simple', steps: 4, denoise: 1 },
    }),
    parts: node('SplitSigmas', { sigmas: ['sigmas', 0], step: 2 }),
    empty: node('EmptySD3LatentImage', SIZE),
    sample: node('SamplerCustomAdvanced', {
      ...{ noise: ['noise', 0], guider: ['guider', 0], sampler: ['method', 0] },
      ...{ sigmas: ['parts', 0], latent_image: ['empty', 0] },
    }),
    silence: node('DisableNoise', {}),
    finish: node('SamplerCustomAdvanced', {
      ...{ noise: ['silence', 0], guider: ['guider', 0], sampler: ['method', 0] },
      ...{ sigmas: ['parts', 1], latent_image: ['sample', 0] },
    }),
    ...shown('finish', ['vae', 0]),
  },
  'Qwen-Image': {
    ...split(
      'qwen_image_fp8_e4m3fn.safetensors',
      'qwen_2.5_vl_7b_fp8_scaled.safetensors',
      'qwen_image',
      'qwen_image_vae.safetensors',
    ),
    shift: node('ModelSamplingAuraFlow', { model: ['unet', 0], shift: 3.1 }),
    lora: node('LoraLoaderModelOnly', {
      ...{ model: ['shift', 0], strength_model: 1 },
      lora_name: 'Qwen-Image-Lightning-8steps-V1.0.safetensors',
    }),
    ...encoded(['clip', 0]),
    empty: node('EmptySD3LatentImage', SIZE),
    sample: sampled('lora', 'empty'),
    ...shown('sample', ['vae', 0]),
  },
  'Z-Image, what newer frontends begin with': {
    ...split(
      'z_image_turbo_bf16.safetensors',
      'qwen_3_4b.safetensors',
      'lumina2',
      'ae.safetensors',
    ),
    shift: node('ModelSamplingAuraFlow', { model: ['unet', 0], shift: 3 }),
    positive: node('CLIPTextEncode', { clip: ['clip', 0], text: 'a paper boat' }),
    zero: node('ConditioningZeroOut', { conditioning: ['positive', 0] }),
    empty: node('EmptySD3LatentImage', SIZE),
    sample: sampled('shift', 'empty', { negative: ['zero', 0], sampler_name: 'res_multistep' }),
    ...shown('sample', ['vae', 0]),
  },
  'Flux.2 and an edited picture': {
    ...split(
      'flux2_dev_fp8mixed.safetensors',
      'mistral_3_small_flux2_fp8.safetensors',
      'flux2',
      'flux2-vae.safetensors',
    ),
    ...encoded(['clip', 0]),
    source: node('LoadImage', { image: 'picture.png' }),
    fitted: node('ImageScaleToTotalPixels', {
      ...{ image: ['source', 0], upscale_method: 'area', megapixels: 0.01, resolution_steps: 1 },
    }),
    latent: node('VAEEncode', { pixels: ['fitted', 0], vae: ['vae', 0] }),
    reference: node('ReferenceLatent', { conditioning: ['positive', 0], latent: ['latent', 0] }),
    size: node('GetImageSize', { image: ['fitted', 0] }),
    sigmas: node('Flux2Scheduler', { steps: 2, width: ['size', 0], height: ['size', 1] }),
    guider: node('CFGGuider', {
      ...{ model: ['unet', 0], positive: ['reference', 0], negative: ['negative', 0], cfg: 4 },
    }),
    noise: node('RandomNoise', { noise_seed: 9 }),
    method: node('KSamplerSelect', { sampler_name: 'euler' }),
    empty: node('EmptyFlux2LatentImage', { ...SIZE, width: ['size', 0], height: ['size', 1] }),
    sample: node('SamplerCustomAdvanced', {
      ...{ noise: ['noise', 0], guider: ['guider', 0], sampler: ['method', 0] },
      ...{ sigmas: ['sigmas', 0], latent_image: ['empty', 0] },
    }),
    ...shown('sample', ['vae', 0]),
  },
  'inpainting, then four times larger': {
    ckpt: node('CheckpointLoaderSimple', { ckpt_name: '512-inpainting-ema.ckpt' }),
    ...encoded(['ckpt', 1]),
    source: node('LoadImage', { image: 'picture.png' }),
    padded: node('ImagePadForOutpaint', {
      ...{ image: ['source', 0], left: 0, top: 0, right: 32, bottom: 0, feathering: 8 },
    }),
    latent: node('VAEEncodeForInpaint', {
      ...{ pixels: ['padded', 0], mask: ['padded', 1], vae: ['ckpt', 2], grow_mask_by: 6 },
    }),
    sample: sampled('ckpt', 'latent'),
    decode: node('VAEDecode', { samples: ['sample', 0], vae: ['ckpt', 2] }),
    upscaler: node('UpscaleModelLoader', { model_name: 'RealESRGAN_x4plus.pth' }),
    larger: node('ImageUpscaleWithModel', { upscale_model: ['upscaler', 0], image: ['decode', 0] }),
    save: node('SaveImage', { images: ['larger', 0], filename_prefix: 'family' }),
  },
};
