import type { SizeLimits } from '../service/fit-size.ts';
import type { ImageParam } from '../service/image-service.ts';
import type { NumberLimits } from '../service/param-fit.ts';

/** A number that a model takes, and what it is given when nobody asks; absent: the model's own default. */
export interface NumberSetting extends NumberLimits {
  /** What the model calls it. */
  readonly field: string;
  readonly default?: number;
}

/** What a model's request schema holds. A field that is not in it gets the whole request refused. */
export interface CloudflareModel {
  /** Some take JSON, some a form of `multipart/form-data`, even when it holds nothing but a prompt. */
  readonly body: 'json' | 'form';
  readonly honours: ReadonlySet<ImageParam>;
  readonly steps?: NumberSetting;
  readonly cfg?: NumberSetting;
  /** Absent: its pictures have the size that it likes. */
  readonly sizes?: SizeLimits;
  readonly maxPromptLength?: number;
}

const JSON_SIZES: SizeLimits = { step: 8, minSide: 256, maxSide: 2048 };

/** Source of all that follows: Cloudflare's pages of the models, and its changelog for FLUX.2. */
const DIFFUSION: CloudflareModel = {
  body: 'json',
  honours: new Set([
    ...(['negative', 'seed', 'steps', 'cfg', 'size', 'batch'] as const),
    ...(['denoise', 'init_image', 'mask'] as const),
  ]),
  steps: { field: 'num_steps', min: 1, max: 20 },
  cfg: { field: 'guidance', min: 0, max: 30 },
  sizes: JSON_SIZES,
};

/**
 * Distilled models: the schema's own defaults (20 steps, guidance 7.5) are wrong for them and burn the
 * picture, and so do the values of most ComfyUI graphs.
 */
const DISTILLED: CloudflareModel = {
  ...DIFFUSION,
  steps: { field: 'num_steps', default: 6, min: 4, max: 8 },
  cfg: { field: 'guidance', default: 1.5, min: 1, max: 2 },
};

/** Its steps are fixed. A picture to start from is a model to paint after: how much of it stays cannot be said. */
const FLUX2: CloudflareModel = {
  body: 'form',
  honours: new Set(['seed', 'guidance', 'size', 'batch', 'init_image']),
  sizes: { step: 16, minSide: 256, maxSide: 1920 },
};

const MODELS: Readonly<Record<string, CloudflareModel>> = {
  '@cf/lykon/dreamshaper-8-lcm': DISTILLED,
  '@cf/bytedance/stable-diffusion-xl-lightning': DISTILLED,
  '@cf/stabilityai/stable-diffusion-xl-base-1.0': DIFFUSION,
  '@cf/leonardo/phoenix-1.0': {
    body: 'json',
    honours: new Set(['negative', 'seed', 'steps', 'cfg', 'size', 'batch']),
    steps: { field: 'num_steps', min: 1, max: 50 },
    cfg: { field: 'guidance', min: 2, max: 10 },
    sizes: JSON_SIZES,
  },
  '@cf/leonardo/lucid-origin': {
    body: 'json',
    honours: new Set(['seed', 'steps', 'cfg', 'size', 'batch']),
    steps: { field: 'num_steps', min: 1, max: 40 },
    cfg: { field: 'guidance', min: 0, max: 10 },
    sizes: { ...JSON_SIZES, maxSide: 2496 },
  },
  '@cf/black-forest-labs/flux-1-schnell': {
    body: 'json',
    honours: new Set(['seed', 'steps', 'batch']),
    steps: { field: 'steps', default: 4, min: 1, max: 8 },
    maxPromptLength: 2048,
  },
  '@cf/black-forest-labs/flux-2-dev': {
    ...FLUX2,
    honours: new Set([...FLUX2.honours, 'steps']),
    steps: { field: 'steps', min: 1, max: 50 },
  },
};

/**
 * Most text-to-image models of Workers AI share one schema: one without an entry is taken to. All of FLUX.2 take a
 * form.
 */
export function findCloudflareModel(model: string): CloudflareModel {
  const isFlux2 = model.startsWith('@cf/black-forest-labs/flux-2-');
  return MODELS[model] ?? (isFlux2 ? FLUX2 : DIFFUSION);
}
