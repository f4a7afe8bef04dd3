import type { ImageParam, ImageRequest } from '../service/image-service.ts';
import type { ParamFit } from '../service/param-fit.ts';
import { findSamplerSettings, toA1111Sampler, toA1111Scheduler } from './sampler-names.ts';

const SIZES = { step: 8, minSide: 64, maxSide: 2048 };
const STEPS = { min: 1, max: 150 };
/** PyTorch's generators take 64 bits. */
const SEED_END = 2n ** 64n;
/** `inpainting_fill`: what lies under the mask stays, as noise is put over it; as ComfyUI does. */
const FILL_ORIGINAL = 1;

export interface A1111Request {
  readonly path: '/sdapi/v1/txt2img' | '/sdapi/v1/img2img';
  readonly body: Readonly<Record<string, unknown>>;
  /** Parameters that the server has no word for. */
  readonly dropped: readonly ImageParam[];
}

/** The request in the words of Automatic1111, Forge and SD.Next. */
export function toA1111Request(
  request: ImageRequest,
  { fit, model, taskId }: { readonly fit: ParamFit; model: string | undefined; taskId: string },
): A1111Request {
  const { sampler, scheduler, steps, cfg, seed, batch } = request;
  const samplerName = sampler === undefined ? undefined : toA1111Sampler(sampler);
  const schedulerName = scheduler === undefined ? undefined : toA1111Scheduler(scheduler);
  // The server counts a batch's seeds up itself: the last one must fit too.
  const seedEnd = SEED_END - BigInt(batch - 1);
  const dropped: ImageParam[] = [];
  if (sampler !== undefined && samplerName === undefined) dropped.push('sampler');
  if (scheduler !== undefined && schedulerName === undefined) dropped.push('scheduler');
  const common = {
    prompt: request.prompt,
    negative_prompt: request.negative,
    ...fit.size(request, SIZES),
    batch_size: batch,
    steps: steps === undefined ? undefined : fit.number('steps', steps, STEPS),
    cfg_scale: cfg,
    seed: seed === undefined ? undefined : fit.seed(seed, 0, seedEnd),
    sampler_name: samplerName,
    scheduler: schedulerName,
    // A grid of the batch would come as one more picture.
    do_not_save_grid: true,
    do_not_save_samples: true,
    force_task_id: taskId,
    ...overrideSettings(model, sampler),
  };
  return request.init === undefined
    ? { path: '/sdapi/v1/txt2img', body: common, dropped }
    : { path: '/sdapi/v1/img2img', body: { ...common, ...toImg2Img(request) }, dropped };
}

function overrideSettings(
  model: string | undefined,
  sampler: string | undefined,
): Readonly<Record<string, unknown>> {
  const settings = sampler === undefined ? undefined : findSamplerSettings(sampler);
  if (model === undefined && settings === undefined) return {};
  const checkpoint = model === undefined ? {} : { sd_model_checkpoint: model };
  return {
    override_settings: { ...checkpoint, ...settings },
    // Loading takes far longer than painting: the next request wants the same checkpoint. It does not want the
    // same sampler.
    override_settings_restore_afterwards: settings !== undefined,
  };
}

function toImg2Img({ init = [], mask, denoise }: ImageRequest): Readonly<Record<string, unknown>> {
  return {
    init_images: init.map(toBase64),
    denoising_strength: denoise,
    ...(mask === undefined
      ? {}
      : {
          mask: toBase64(mask),
          mask_blur: 0,
          inpainting_fill: FILL_ORIGINAL,
          inpaint_full_res: false,
          inpainting_mask_invert: 0,
        }),
  };
}

function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
