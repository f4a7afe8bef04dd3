import { pythonFloat } from '@tiercel/contracts';
import { shrinkPng } from '@tiercel/pictures';
import { formatSize } from '../service/fit-size.ts';
import type { ImageRequest } from '../service/image-service.ts';
import { initOf } from '../service/obstacles.ts';
import type { ParamFit } from '../service/param-fit.ts';
import type { CloudflareModel, NumberSetting } from './cloudflare-models.ts';

/** The fields of one picture's request; undefined ones are not sent. */
export type Fields = Readonly<
  Record<string, string | number | bigint | readonly number[] | Blob | undefined>
>;

/** FLUX.2 takes input pictures smaller than 512 x 512; a multiple of what its autoencoder works in. */
const MAX_INPUT_SIDE = 496;

/** What a model is asked for one picture of a batch, without the seed. */
export async function describePicture(
  model: CloudflareModel,
  fit: ParamFit,
  { request, index }: { readonly request: ImageRequest; readonly index: number },
): Promise<Fields> {
  const { prompt, negative } = request;
  const init = model.honours.has('init_image') ? initOf(request.init, index) : undefined;
  return {
    prompt,
    ...(negative !== '' && model.honours.has('negative') ? { negative_prompt: negative } : {}),
    ...choose(fit, 'steps', request.steps, model.steps),
    ...(model.sizes === undefined ? {} : fit.size(request, model.sizes)),
    ...choose(fit, 'cfg', request.cfg, model.cfg),
    ...(model.body === 'form'
      ? await describeForm(fit, request, init)
      : describeInit(request, init)),
  };
}

function describeInit(request: ImageRequest, init: Uint8Array | undefined): Fields {
  if (init === undefined) return {};
  return {
    ...{ image_b64: Buffer.from(init).toString('base64'), strength: request.denoise },
    // Bytes of the file as numbers: the schema has no base64 form of the mask.
    ...(request.mask === undefined ? {} : { mask: [...request.mask] }),
  };
}

async function describeForm(
  fit: ParamFit,
  { guidance, width, height }: ImageRequest,
  init: Uint8Array | undefined,
): Promise<Fields> {
  const scale = guidance === undefined ? {} : { guidance: pythonFloat(guidance) };
  if (init === undefined) return scale;
  const input = await shrinkPng(init, MAX_INPUT_SIDE);
  fit.note('init_image', formatSize({ width, height }), formatSize(input));
  const file = new Blob([new Uint8Array(input.bytes)], { type: 'image/png' });
  return { ...scale, input_image_0: file };
}

function choose(
  fit: ParamFit,
  param: 'steps' | 'cfg',
  asked: number | undefined,
  setting: NumberSetting | undefined,
): Fields {
  if (setting === undefined) return {};
  const { field } = setting;
  return { [field]: asked === undefined ? setting.default : fit.number(param, asked, setting) };
}

/** A form as `multipart/form-data` carries it: numbers as text, a picture as a file. */
export function toForm(fields: Fields): FormData {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    if (value instanceof Blob) form.append(name, value, `${name}.png`);
    else if (value !== undefined) form.append(name, value.toString());
  }
  return form;
}
