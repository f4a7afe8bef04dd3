import { randomUUID } from 'node:crypto';
import { json, type Answer } from '../fake-comfyui/answer.ts';
import type { Refusal } from './faults.ts';
import { readImageRequest, type ImageRequest, type ParameterFault } from './openai-fields.ts';
import { startFakeService, type FakeService, type FakeServiceOptions } from './service.ts';
import { bearerOf, type FakeVendor, type WireRequest, type Work } from './wire.ts';

export interface FakeOpenAiOptions extends FakeServiceOptions {
  /** The only good key; default: any. */
  readonly apiKey?: string;
  /** Default: those of late 2026. */
  readonly models?: readonly string[];
}

const MODELS = [
  ...['gpt-image-1-mini', 'gpt-image-1.5', 'gpt-image-2', 'chatgpt-image-latest'],
  ...['gpt-image-2.5-sunburst', 'gpt-image-2.5-flare'],
];
const ROUTE = /^\/v1\/images\/(generations|edits)$/;
const TOKENS_PER_IMAGE = 1056;
const TOKENS_PER_SOURCE = 323;

type Words = readonly [status: number, type: string, code: string | null, message: string];

const INVALID = 'invalid_request_error';
/** What `refuse` says of a parameter; null for all that is not here. */
const PARAMS: Readonly<Partial<Record<Refusal, string>>> = {
  unknown_model: 'model',
  invalid_prompt: 'prompt',
};
const REFUSALS: Readonly<Record<Refusal, Words>> = {
  unauthorized: [401, INVALID, 'invalid_api_key', 'Incorrect API key provided: ***.'],
  forbidden: [403, INVALID, null, 'Your organization must be verified to use this model.'],
  model_gone: [404, INVALID, 'model_not_found', 'The model does not exist.'],
  unknown_model: [
    400,
    INVALID,
    'invalid_value',
    "Invalid value: 'dall-e-3'. The model is retired.",
  ],
  invalid_request: [400, INVALID, 'invalid_value', 'Invalid value for a parameter.'],
  invalid_prompt: [400, INVALID, 'string_above_max_length', 'The string is too long.'],
  safety: [
    ...[400, 'image_generation_user_error', 'moderation_blocked'],
    'Your request was rejected by the safety system. safety_violations=[violence].',
  ] as const,
  quota: [
    ...[429, 'insufficient_quota', 'insufficient_quota'],
    'You exceeded your current quota, please check your plan and billing details.',
  ] as const,
  rate: [429, 'requests', 'rate_limit_exceeded', 'Rate limit reached for images per minute.'],
  queue_full: [429, 'requests', 'slow_down', 'Too many requests are running.'],
  capacity: [503, 'server_error', null, 'The engine is currently overloaded.'],
  out_of_memory: [500, 'server_error', null, 'The server had an error: out of memory.'],
  error: [500, 'server_error', null, 'The server had an error while processing your request.'],
};

/** OpenAI images: `POST /v1/images/generations` (JSON) and `/v1/images/edits` (form); no streaming. */
export function startFakeOpenAi(options: FakeOpenAiOptions = {}): Promise<FakeService> {
  const vendor: FakeVendor = {
    name: 'openai',
    isPictureRequest: ({ method, path }) => method === 'POST' && ROUTE.test(path),
    refuse: (refusal) => refuse(REFUSALS[refusal], PARAMS[refusal]),
    answer: (request, work) => answer(options, request, work),
  };
  return startFakeService(vendor, options);
}

function refuse([status, type, code, message]: Words, param: string | null = null): Answer {
  return named(json({ error: { message, type, param, code } }, status));
}

function named(answer: Answer): Answer {
  const headers = { ...answer.headers, 'x-request-id': `req_${randomUUID().replaceAll('-', '')}` };
  return { ...answer, headers };
}

async function answer(
  options: FakeOpenAiOptions,
  request: WireRequest,
  work: Work,
): Promise<Answer> {
  const { method, path } = request;
  const key = bearerOf(request);
  if (key === undefined || key !== (options.apiKey ?? key)) return refuse(REFUSALS.unauthorized);
  const models = options.models ?? MODELS;
  if (method === 'GET' && path === '/v1/models') {
    const data = models.map((id) => ({ id, object: 'model', created: 0, owned_by: 'system' }));
    return json({ object: 'list', data });
  }
  const route = ROUTE.exec(path)?.[1];
  if (route === undefined || method !== 'POST') {
    return refuse([404, INVALID, null, `Invalid URL (${method} ${path})`]);
  }
  const parsed = readImageRequest(route === 'edits' ? 'edits' : 'generations', request);
  if ('fault' in parsed) return toAnswer(parsed.fault);
  const { image } = parsed;
  if (!models.includes(image.model)) {
    return refuse([404, INVALID, 'model_not_found', `The model '${image.model}' does not exist.`]);
  }
  await work.render();
  return named(json(describe(image, work)));
}

function toAnswer({ param, code, message }: ParameterFault): Answer {
  return refuse([400, INVALID, code, message], param);
}

function describe(image: ImageRequest, work: Work): object {
  const { prompt, count, width, height, format, sources } = image;
  const data = Array.from({ length: work.count(count) }, (_, index) => {
    const size = { width, height, format };
    const source = Buffer.concat(sources);
    return { b64_json: work.paint({ prompt, seed: index, ...size, source }).toString('base64') };
  });
  const text = Math.ceil(prompt.length / 4);
  const input = { image_tokens: sources.length * TOKENS_PER_SOURCE, text_tokens: text };
  const inputTotal = input.image_tokens + input.text_tokens;
  const output = data.length * TOKENS_PER_IMAGE;
  return {
    created: Math.floor(Date.now() / 1000),
    ...{ background: image.background, data, output_format: format, quality: image.quality },
    size: `${width}x${height}`,
    usage: {
      ...{ input_tokens: inputTotal, input_tokens_details: input },
      ...{ output_tokens: output, total_tokens: inputTotal + output },
    },
  };
}
