import type { JsonValue } from '@tiercel/contracts';
import { json, type Answer } from '../fake-comfyui/answer.ts';
import { readRender, SAMPLERS } from './automatic1111-fields.ts';
import { describeResult } from './automatic1111-info.ts';
import { RenderQueue, type Render } from './automatic1111-queue.ts';
import { fastApiError, tooLong, wrongType } from './fastapi.ts';
import type { Refusal } from './faults.ts';
import { startFakeService, type FakeService, type FakeServiceOptions } from './service.ts';
import { fieldsOf, type FakeVendor, type WireRequest, type Work } from './wire.ts';

export interface FakeAutomatic1111Options extends FakeServiceOptions {
  /** `user:password`, as its `--api-auth`; default: open. */
  readonly auth?: string;
  /** Titles of checkpoints; default: one. The first is loaded at first. */
  readonly checkpoints?: readonly string[];
}

const PICTURE = /^\/sdapi\/v1\/(txt2img|img2img)$/;
const CHECKPOINT = 'v1-5-pruned-emaonly.safetensors [6ce0161689]';
const GIGABYTE = 2 ** 30;
const TENSOR_ERROR =
  'CUDA out of memory. Tried to allocate 2.00 GiB (GPU 0; 8.00 GiB total capacity)';

/** `safety` is missing: it refuses nothing; an extension that censors blackens the picture. */
const REFUSALS: Readonly<Record<Exclude<Refusal, 'safety'>, () => Answer>> = {
  unauthorized: () => askForPassword(),
  forbidden: () => fastApiError(403, 'Forbidden'),
  model_gone: () => fastApiError(404, 'Not Found'),
  unknown_model: () => fastApiError(422, [wrongType('override_settings', 'dict')]),
  invalid_request: () => fastApiError(400, 'Sampler not found'),
  invalid_prompt: () => fastApiError(422, [tooLong('prompt', 1000)]),
  quota: () => fastApiError(402, 'Payment Required'),
  rate: () => fastApiError(429, 'Too Many Requests'),
  queue_full: () => fastApiError(429, 'Queue is full'),
  capacity: () => fastApiError(503, 'Service Unavailable'),
  out_of_memory: () => raised('OutOfMemoryError', TENSOR_ERROR),
  error: () => raised('RuntimeError', 'Expected all tensors to be on the same device'),
};

/**
 * Automatic1111's API: one job at a time, the others wait. A job goes on when its client has gone, as
 * there; only interrupt and skip end it early. Previews and progress are global.
 */
export async function startFakeAutomatic1111(
  options: FakeAutomatic1111Options = {},
): Promise<FakeService> {
  const checkpoints = options.checkpoints ?? [CHECKPOINT];
  const queue = new RenderQueue();
  let settings: Record<string, JsonValue> = {
    ...{ samples_format: 'png', sd_model_checkpoint: checkpoints[0] ?? '', sd_vae: 'Automatic' },
    ...{ CLIP_stop_at_last_layers: 1, show_progress_every_n_steps: 10, uni_pc_variant: 'bh1' },
  };

  const paintJob = async (route: string, request: WireRequest, work: Work): Promise<Answer> => {
    const parsed = readRender(route === 'img2img' ? 'img2img' : 'txt2img', request.body);
    if ('refused' in parsed) return fastApiError(parsed.refused.status, parsed.refused.detail);
    const { job } = parsed;
    const unknown = Object.keys(job.overrides).find((name) => !Object.hasOwn(settings, name));
    if (unknown !== undefined) return raised('KeyError', `'${unknown}'`);
    const painter = work.fault === 'safety' ? { ...work, paint: work.paintBlack } : work;
    const render: Render = { job, renderMs: work.renderMs, paint: painter.paint };
    return await queue.run(render, () =>
      json(describeResult(job, painter, readCheckpoint(job.overrides, settings, checkpoints))),
    );
  };

  const answerOther = (request: WireRequest): Answer => {
    switch (`${request.method} ${request.path}`) {
      case 'GET /sdapi/v1/progress':
        return json(queue.describe(request.query.skip_current_image === 'true'));
      case 'POST /sdapi/v1/interrupt':
      case 'POST /sdapi/v1/skip':
        queue.stop(request.path.endsWith('skip') ? 'skipped' : 'interrupted');
        return json({});
      case 'GET /sdapi/v1/sd-models':
        return json(checkpoints.map(describeCheckpoint));
      case 'GET /sdapi/v1/samplers':
        return json(SAMPLERS.map((name) => ({ name, aliases: [], options: {} })));
      case 'GET /sdapi/v1/options':
        return json(settings);
      case 'POST /sdapi/v1/options':
        settings = { ...settings, ...fieldsOf(request.body) } as Record<string, JsonValue>;
        return json(null);
      case 'GET /sdapi/v1/memory':
        return json(describeMemory());
      default:
        return fastApiError(404, 'Not Found');
    }
  };

  const vendor: FakeVendor = {
    name: 'automatic1111',
    isPictureRequest: ({ method, path }) => method === 'POST' && PICTURE.test(path),
    refuse: (refusal) => (refusal === 'safety' ? undefined : REFUSALS[refusal]()),
    answer: (request, work) => {
      if (!isAllowed(options.auth, request)) return askForPassword();
      const route = PICTURE.exec(request.path)?.[1];
      if (route === undefined) return answerOther(request);
      if (request.method !== 'POST') return fastApiError(405, 'Method Not Allowed');
      return paintJob(route, request, work);
    },
  };
  return await startFakeService(vendor, options);
}

function isAllowed(auth: string | undefined, { headers }: WireRequest): boolean {
  if (auth === undefined) return true;
  return headers.authorization === `Basic ${Buffer.from(auth).toString('base64')}`;
}

function askForPassword(): Answer {
  const answer = fastApiError(401, 'Incorrect username or password');
  return { ...answer, headers: { ...answer.headers, 'www-authenticate': 'Basic' } };
}

/** What its middleware makes of an exception. */
function raised(error: string, errors: string): Answer {
  return json({ error, detail: '', body: '', errors }, 500);
}

/** An override that names no checkpoint is ignored in silence, as there. */
function readCheckpoint(
  overrides: Readonly<Record<string, JsonValue | undefined>>,
  settings: Readonly<Record<string, JsonValue>>,
  checkpoints: readonly string[],
): string {
  const find = (name: JsonValue | undefined): string | undefined =>
    checkpoints.find((title) => isNameOf(name, title));
  return find(overrides.sd_model_checkpoint) ?? find(settings.sd_model_checkpoint) ?? CHECKPOINT;
}

function isNameOf(name: JsonValue | undefined, title: string): boolean {
  const { filename, model_name, hash } = describeCheckpoint(title);
  return [title, filename, model_name, hash].some((alias) => alias === name && alias !== '');
}

function describeCheckpoint(title: string): Readonly<Record<string, string | null>> {
  const [file = title, hash = null] = /^(.*?)(?: \[(\w+)\])?$/.exec(title)?.slice(1) ?? [];
  const names = { title, model_name: file.replace(/\.\w+$/, ''), filename: file };
  return { ...names, hash, sha256: null, config: null };
}

function describeMemory(): object {
  const of = (total: number, used: number): object => ({ free: total - used, used, total });
  const peak = { current: GIGABYTE, peak: 2 * GIGABYTE };
  return {
    ram: of(32 * GIGABYTE, 6 * GIGABYTE),
    cuda: {
      system: of(8 * GIGABYTE, 2 * GIGABYTE),
      ...{ active: peak, allocated: peak, reserved: peak, inactive: peak },
      events: { retries: 0, oom: 0 },
    },
  };
}
