import { randomInt } from 'node:crypto';
import type { JsonValue } from '@tiercel/contracts';
import { isOfKind, wrongType, type FieldFault, type FieldKind } from './fastapi.ts';
import { fieldsOf, textOf } from './wire.ts';

type Fields = Readonly<Record<string, JsonValue | undefined>>;

/** A checked request for pictures. */
export interface RenderJob {
  readonly prompt: string;
  readonly negative: string;
  readonly seed: number | bigint;
  readonly subseed: number | bigint;
  readonly steps: number;
  readonly cfgScale: number;
  readonly sampler: string;
  /** Of what comes out: whole blocks of 8 pixels. */
  readonly width: number;
  readonly height: number;
  readonly batchSize: number;
  readonly batches: number;
  readonly denoise: number | null;
  readonly sendsImages: boolean;
  readonly source: Buffer | undefined;
  readonly overrides: Fields;
  /** The request with its defaults filled in, as `parameters` repeats it. */
  readonly parameters: Readonly<Record<string, JsonValue>>;
}

export interface Refused {
  readonly status: number;
  readonly detail: string | readonly FieldFault[];
}

export const SAMPLERS = [
  ...['DPM++ 2M', 'DPM++ SDE', 'DPM++ 2M SDE', 'DPM++ 3M SDE', 'Euler a', 'Euler', 'LMS', 'Heun'],
  ...['DPM2', 'DPM2 a', 'DPM++ 2S a', 'DPM fast', 'DPM adaptive', 'Restart', 'DDIM', 'PLMS'],
  ...['UniPC', 'LCM'],
];

const DEFAULTS: Readonly<Record<string, JsonValue>> = {
  ...{ prompt: '', negative_prompt: '', styles: null, seed: -1, subseed: -1, subseed_strength: 0 },
  ...{ seed_resize_from_h: -1, seed_resize_from_w: -1, sampler_name: null, scheduler: null },
  ...{ batch_size: 1, n_iter: 1, steps: 50, cfg_scale: 7, width: 512, height: 512 },
  ...{ restore_faces: null, tiling: null, do_not_save_samples: false, do_not_save_grid: false },
  ...{ eta: null, override_settings: null, override_settings_restore_afterwards: true },
  ...{ sampler_index: 'Euler', script_name: null, script_args: [], send_images: true },
  ...{ save_images: false, alwayson_scripts: {}, force_task_id: null },
};
const ONLY_IMG2IMG: Readonly<Record<string, JsonValue>> = {
  ...{ denoising_strength: 0.75, init_images: null, mask: null, include_init_images: false },
};
const KINDS: Readonly<Record<string, FieldKind>> = {
  ...{ prompt: 'str', negative_prompt: 'str', styles: 'list', seed: 'integer', subseed: 'integer' },
  ...{ sampler_name: 'str', sampler_index: 'str', scheduler: 'str', batch_size: 'integer' },
  ...{ n_iter: 'integer', steps: 'integer', cfg_scale: 'float', width: 'integer' },
  ...{ height: 'integer', denoising_strength: 'float', override_settings: 'dict' },
  ...{ send_images: 'bool', save_images: 'bool', init_images: 'list', mask: 'str' },
  ...{ alwayson_scripts: 'dict', script_args: 'list', include_init_images: 'bool' },
};
const MAX_SEED = 2 ** 32;
const BLOCK = 8;

/** Reads a request as modules/api/models.py does: unknown keys are ignored, wrong types a 422. */
export function readRender(
  route: 'txt2img' | 'img2img',
  body: JsonValue | undefined,
): { readonly job: RenderJob } | { readonly refused: Refused } {
  const given = fieldsOf(body);
  const defaults = route === 'img2img' ? { ...DEFAULTS, ...ONLY_IMG2IMG } : DEFAULTS;
  const faults = Object.entries(KINDS).flatMap(([name, kind]) => {
    const value = given[name];
    const isFine = value === undefined || value === null || isOfKind(kind, value);
    return isFine ? [] : [wrongType(name, kind)];
  });
  if (faults.length > 0) return { refused: { status: 422, detail: faults } };
  const known = Object.entries(given).filter(([, value]) => value !== undefined);
  const fields = { ...defaults, ...(Object.fromEntries(known) as Record<string, JsonValue>) };
  const sampler = textOf(fields.sampler_name) || textOf(fields.sampler_index);
  if (!SAMPLERS.includes(sampler)) return { refused: { status: 400, detail: 'Sampler not found' } };
  if (route === 'txt2img') return { job: makeJob(fields, sampler, undefined) };
  const [first] = Array.isArray(fields.init_images) ? fields.init_images : [];
  if (first === undefined) return { refused: { status: 404, detail: 'Init image not found' } };
  const source = Buffer.from(textOf(first).replace(/^data:[^,]*,/, ''), 'base64');
  if (!isPicture(source)) return { refused: { status: 500, detail: 'Invalid encoded image' } };
  const shown = fields.include_init_images === true ? fields : { ...fields, init_images: null };
  return { job: { ...makeJob(fields, sampler, source), parameters: { ...shown, mask: null } } };
}

function makeJob(
  fields: Readonly<Record<string, JsonValue>>,
  sampler: string,
  source: Buffer | undefined,
): RenderJob {
  const number = (name: string): number => Number(fields[name] ?? DEFAULTS[name]);
  const blocks = (pixels: number): number => Math.max(1, Math.floor(pixels / BLOCK)) * BLOCK;
  const isDenoised = typeof fields.denoising_strength === 'number';
  return {
    prompt: textOf(fields.prompt),
    negative: textOf(fields.negative_prompt),
    seed: drawSeed(fields.seed),
    subseed: drawSeed(fields.subseed),
    steps: Math.max(1, number('steps')),
    cfgScale: number('cfg_scale'),
    sampler,
    width: blocks(number('width')),
    height: blocks(number('height')),
    batchSize: number('batch_size'),
    batches: number('n_iter'),
    denoise: isDenoised ? Number(fields.denoising_strength) : null,
    sendsImages: fields.send_images !== false,
    source,
    overrides: fieldsOf(fields.override_settings),
    parameters: fields,
  };
}

/** -1 asks for any seed. */
function drawSeed(value: JsonValue | undefined): number | bigint {
  const isGiven = (typeof value === 'number' && value !== -1) || typeof value === 'bigint';
  return isGiven ? value : randomInt(MAX_SEED);
}

function isPicture(bytes: Buffer): boolean {
  const magic = bytes.toString('latin1', 0, 12);
  return magic.startsWith('\x89PNG') || magic.startsWith('\xff\xd8\xff') || magic.endsWith('WEBP');
}
