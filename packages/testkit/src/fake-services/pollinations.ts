import { randomInt, randomUUID } from 'node:crypto';
import { json, type Answer } from '../fake-comfyui/answer.ts';
import type { Refusal } from './faults.ts';
import type { PictureRequest } from './pictures.ts';
import { startFakeService, type FakeService, type FakeServiceOptions } from './service.ts';
import { bearerOf, type FakeVendor, type WireRequest, type Work } from './wire.ts';

export interface FakePollinationsOptions extends FakeServiceOptions {
  /** The only good key; default: any. The legacy route also serves callers without one. */
  readonly apiKey?: string;
}

const PICTURE = /^\/(prompt|image)\/(.+)$/s;
const MODELS = ['flux', 'turbo', 'kontext', 'gptimage'];
const DEFAULT_SIDE = 1024;
const MAX_SIDE = 4096;
const DEFAULT_SEED = 42;
const MAX_SEED = 2 ** 31;

type Words = readonly [status: number, code: string, message: string];

const REFUSALS: Readonly<Record<Refusal, Words>> = {
  unauthorized: [401, 'UNAUTHORIZED', 'Authentication required. Please provide an API key.'],
  forbidden: [403, 'FORBIDDEN', 'This key may not use the model.'],
  model_gone: [404, 'NOT_FOUND', 'Model not found.'],
  unknown_model: [400, 'BAD_REQUEST', 'Query parameter validation failed'],
  invalid_request: [400, 'BAD_REQUEST', 'Invalid request parameters.'],
  invalid_prompt: [400, 'BAD_REQUEST', 'Query parameter validation failed'],
  safety: [400, 'BAD_REQUEST', 'NSFW content detected. This request cannot be fulfilled.'],
  quota: [402, 'PAYMENT_REQUIRED', 'INSUFFICIENT_BALANCE: your balance is too low.'],
  rate: [429, 'RATE_LIMITED', 'Too many requests. Please slow down.'],
  queue_full: [429, 'RATE_LIMITED', 'Too many requests at once.'],
  capacity: [503, 'SERVICE_UNAVAILABLE', 'Queue is full. Please try again later.'],
  out_of_memory: [500, 'INTERNAL_ERROR', 'CUDA out of memory.'],
  error: [500, 'INTERNAL_ERROR', 'An unexpected error occurred.'],
};
/** What is wrong with which parameter, as the validation of the query says it. */
const FIELD_ERRORS: Readonly<
  Partial<Record<Refusal, Readonly<Record<string, readonly string[]>>>>
> = {
  unknown_model: { model: ['Invalid option: expected one of "flux"|"zimage"'] },
  invalid_prompt: { prompt: ['Too big: expected string to have <=4000 characters'] },
};
/** The legacy route serves one request at a time to callers without a key, and offers the others to pay. */
const QUEUE_FULL = {
  x402Version: 1,
  error: 'Queue full for IP: 192.0.2.7: 1 requests already queued (max: 1).',
  accepts: [{ scheme: 'exact', network: 'base', maxAmountRequired: '1000' }],
};
/** What its newer route answers to refused content (pollinations issue 12067). */
const GEN_SAFETY: Words = [
  ...[422, 'content_policy_violation'],
  'Your request was rejected by content moderation.',
] as const;

/** Pollinations: legacy `GET /prompt/{text}` and current `GET /image/{prompt}`, both JPEG. */
export function startFakePollinations(options: FakePollinationsOptions = {}): Promise<FakeService> {
  const vendor: FakeVendor = {
    name: 'pollinations',
    isPictureRequest: ({ method, path }) => method === 'GET' && PICTURE.test(path),
    refuse: (refusal, { path }) => {
      const isLegacy = path.startsWith('/prompt/');
      if (refusal === 'queue_full' && isLegacy) return json(QUEUE_FULL, 402);
      const isContent = refusal === 'safety' && !isLegacy;
      return refuse(isContent ? GEN_SAFETY : REFUSALS[refusal], FIELD_ERRORS[refusal]);
    },
    answer: (request, work) => answer(options, request, work),
  };
  return startFakeService(vendor, options);
}

function refuse([status, code, message]: Words, fieldErrors?: object): Answer {
  const upstream = status >= 500 ? { upstreamStatus: status, upstreamHost: 'gpu.invalid' } : {};
  const validation = { name: 'ValidationError', formErrors: [], fieldErrors };
  const details = fieldErrors === undefined ? upstream : validation;
  const timestamp = new Date().toISOString();
  const error = { code, message, timestamp, details, requestId: randomUUID() };
  return json({ status, success: false, error }, status);
}

async function answer(
  options: FakePollinationsOptions,
  request: WireRequest,
  work: Work,
): Promise<Answer> {
  if (request.path === '/models') return json(MODELS);
  if (request.path === '/v1/models') {
    const data = MODELS.map((id) => ({
      id,
      object: 'model',
      created: 0,
      owned_by: 'pollinations',
    }));
    return json({ object: 'list', data });
  }
  const [, route, encodedPrompt = ''] = PICTURE.exec(request.path) ?? [];
  if (route === undefined) return refuse([404, 'NOT_FOUND', 'Route not found.']);
  if (request.method !== 'GET') return refuse([405, 'METHOD_NOT_ALLOWED', 'Use GET.']);
  const key = bearerOf(request) ?? request.query.key ?? request.query.token;
  const isAnonymous = key === undefined && route === 'prompt';
  const isKnown = key !== undefined && key === (options.apiKey ?? key);
  if (!isAnonymous && !isKnown) return refuse(REFUSALS.unauthorized);
  await work.render();
  if (work.count(1) === 0) return jpeg(Buffer.alloc(0));
  return jpeg(work.paint(readPicture(decode(encodedPrompt), request.query)));
}

function jpeg(body: Buffer): Answer {
  return { status: 200, headers: { 'content-type': 'image/jpeg' }, body };
}

/** A text that is not well encoded is taken as it is. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Values that make no sense become the defaults, in silence. */
function readPicture(prompt: string, query: WireRequest['query']): PictureRequest {
  const size = (text: string | undefined): number => {
    const pixels = Number(text);
    return Number.isInteger(pixels) && pixels > 0 && pixels <= MAX_SIDE ? pixels : DEFAULT_SIDE;
  };
  const { negative_prompt: negative = '', model = '', image = '' } = query;
  const served = MODELS.includes(model) ? model : 'flux';
  return {
    prompt: [prompt, negative, served].join('\0'),
    seed: readSeed(query.seed),
    ...{ width: size(query.width), height: size(query.height), format: 'jpeg' },
    source: Buffer.from(image),
  };
}

function readSeed(text: string | undefined): number {
  const seed = text === undefined || text === '' ? DEFAULT_SEED : Number(text);
  if (seed === -1) return randomInt(MAX_SEED);
  return Number.isInteger(seed) && seed >= 0 ? seed : DEFAULT_SEED;
}
