import { json, type Answer } from '../fake-comfyui/answer.ts';
import { checkFields, readFluxFields, readDiffusionFields } from './cloudflare-fields.ts';
import { answerFlux2, FLUX2_MODELS } from './cloudflare-flux2.ts';
import type { Refusal } from './faults.ts';
import type { PictureRequest } from './pictures.ts';
import { startFakeService, type FakeService, type FakeServiceOptions } from './service.ts';
import { bearerOf, fieldsOf, type FakeVendor, type WireRequest, type Work } from './wire.ts';

export interface FakeCloudflareOptions extends FakeServiceOptions {
  /** The only good token; default: any. */
  readonly apiKey?: string;
  /** The only good account; default: any. */
  readonly accountId?: string;
}

const RUN = /^\/client\/v4\/accounts\/([^/]+)\/ai\/run\/(.+)$/;
const FLUX = '@cf/black-forest-labs/flux-1-schnell';
/** Models of one schema, with the side in pixels of what they make when no size is given. */
const DIFFUSION_MODELS: Readonly<Record<string, number>> = {
  '@cf/lykon/dreamshaper-8-lcm': 512,
  '@cf/bytedance/stable-diffusion-xl-lightning': 1024,
  '@cf/stabilityai/stable-diffusion-xl-base-1.0': 1024,
};

/** Status, code and message of each refusal: developers.cloudflare.com/workers-ai/platform/errors. */
const REFUSALS: Readonly<
  Record<Refusal, readonly [status: number, code: number, message: string]>
> = {
  unauthorized: [401, 10000, 'Authentication error'],
  forbidden: [403, 5018, 'AiError: This account is not allowed to access this model'],
  model_gone: [404, 3042, 'AiError: Invalid model ID'],
  unknown_model: [400, 5007, 'AiError: No such model @cf/gone or task'],
  invalid_request: [400, 3003, 'AiError: Incomplete request'],
  invalid_prompt: [400, 5006, "AiError: Bad input: Error: Length of '/prompt' must be <= 2048"],
  safety: [400, 3030, 'AiError: Input prompt contains NSFW content.'],
  quota: [
    429,
    3036,
    'AiError: you have used up your daily free allocation of 10,000 neurons, please upgrade',
  ],
  rate: [429, 971, 'AiError: Rate limited: too many requests'],
  queue_full: [429, 3021, 'AiError: rate limiting: inference requests per min'],
  capacity: [429, 3040, 'AiError: Capacity temporarily exceeded, please try again.'],
  out_of_memory: [500, 5000, 'AiError: out of memory'],
  error: [500, 5000, 'AiError: Internal server error'],
};

/** Cloudflare Workers AI, text to image: `POST /client/v4/accounts/{id}/ai/run/{model}`. */
export function startFakeCloudflare(options: FakeCloudflareOptions = {}): Promise<FakeService> {
  const vendor: FakeVendor = {
    name: 'cloudflare',
    isPictureRequest: ({ method, path }) => method === 'POST' && RUN.test(path),
    refuse: (refusal) => refuse(...REFUSALS[refusal]),
    answer: (request, work) => answer(options, request, work),
  };
  return startFakeService(vendor, options);
}

function refuse(status: number, code: number, message: string): Answer {
  return json({ success: false, errors: [{ code, message }], result: {}, messages: [] }, status);
}

async function answer(
  options: FakeCloudflareOptions,
  request: WireRequest,
  work: Work,
): Promise<Answer> {
  const [, account = '', encodedModel = ''] = RUN.exec(request.path) ?? [];
  if (account === '') return refuse(404, 7003, `Could not route to ${request.path}`);
  if (request.method !== 'POST') return refuse(405, 10405, 'Method not allowed');
  const token = bearerOf(request);
  const isKnown =
    token !== undefined &&
    token === (options.apiKey ?? token) &&
    account === (options.accountId ?? account);
  if (!isKnown) return refuse(...REFUSALS.unauthorized);
  const model = decodeURIComponent(encodedModel);
  if (FLUX2_MODELS.has(model)) {
    const made = answerFlux2(model, request);
    if ('code' in made) return refuse(400, made.code, `AiError: Bad input: Error: ${made.message}`);
    await work.render();
    return answerInJson(work, made.picture);
  }
  const side = DIFFUSION_MODELS[model];
  if (side === undefined && model !== FLUX) return refuse(...REFUSALS.model_gone);
  const fields = fieldsOf(request.body);
  if (fields !== request.body) return refuse(...REFUSALS.invalid_request);
  const problem = checkFields(side === undefined ? 'flux' : 'diffusion', fields);
  if (problem !== undefined) return refuse(400, problem.code, `AiError: ${problem.message}`);
  await work.render();
  if (side === undefined) return answerInJson(work, readFluxFields(fields));
  const png = work.paint(readDiffusionFields(fields, side));
  const body = work.count(1) === 0 ? Buffer.alloc(0) : png;
  return { status: 200, headers: { 'content-type': 'image/png' }, body };
}

function answerInJson(work: Work, picture: PictureRequest): Answer {
  const image = work.count(1) === 0 ? '' : work.paint(picture).toString('base64');
  return json({ result: { image }, success: true, errors: [], messages: [] });
}
