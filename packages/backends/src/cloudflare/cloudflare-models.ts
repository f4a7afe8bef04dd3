import type { ImageParam } from '../service/image-service.ts';
import type { NumberLimits } from '../service/param-fit.ts';

/** A number that a model takes, and what it is given when nobody asks; absent: the model's own default. */
export interface NumberSetting extends NumberLimits {
  readonly default?: number;
}

/** What a model's request schema holds. Source: Cloudflare's pages of the models. */
export interface CloudflareModel {
  readonly schema: 'diffusion' | 'flux';
  readonly steps: NumberSetting;
  readonly guidance: NumberSetting;
  readonly maxPromptLength?: number;
}

/** The schema takes up to 20 steps. */
const DIFFUSION: CloudflareModel = {
  schema: 'diffusion',
  steps: { min: 1, max: 20 },
  guidance: { min: 0, max: 30 },
};

/**
 * Distilled models: the schema's own defaults (20 steps, guidance 7.5) are wrong for them and burn the
 * picture, and so do the values of most ComfyUI graphs.
 */
const DISTILLED: CloudflareModel = {
  schema: 'diffusion',
  steps: { default: 6, min: 4, max: 8 },
  guidance: { default: 1.5, min: 1, max: 2 },
};

const MODELS: Readonly<Record<string, CloudflareModel>> = {
  '@cf/lykon/dreamshaper-8-lcm': DISTILLED,
  '@cf/bytedance/stable-diffusion-xl-lightning': DISTILLED,
  '@cf/stabilityai/stable-diffusion-xl-base-1.0': DIFFUSION,
  '@cf/black-forest-labs/flux-1-schnell': {
    schema: 'flux',
    steps: { default: 4, min: 1, max: 8 },
    guidance: { min: 0, max: 0 },
    maxPromptLength: 2048,
  },
};

/** Most text-to-image models of Workers AI share one schema: one without an entry is taken to. */
export function findCloudflareModel(model: string): CloudflareModel {
  return MODELS[model] ?? DIFFUSION;
}

export const CLOUDFLARE_HONOURS: Readonly<
  Record<CloudflareModel['schema'], ReadonlySet<ImageParam>>
> = {
  diffusion: new Set([
    ...(['negative', 'seed', 'steps', 'cfg', 'size', 'batch'] as const),
    ...(['denoise', 'init_image', 'mask'] as const),
  ]),
  flux: new Set(['seed', 'steps', 'batch']),
};
