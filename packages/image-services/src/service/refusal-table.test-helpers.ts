import type { AttemptClass } from '@tiercel/contracts';

export type Vendor = 'openai' | 'cloudflare' | 'automatic1111' | 'turbo' | 'pollinations';
export const VENDORS: readonly Vendor[] = [
  ...(['openai', 'cloudflare', 'automatic1111', 'turbo', 'pollinations'] as const),
];

/** One row of the table "Who is to blame" in docs/fallback.md. */
export interface RefusalRow {
  readonly vendor: Vendor | 'all';
  readonly status: number;
  /** As docs say it. */
  readonly says: string;
  /** JSON, or a page in HTML. */
  readonly body: object | string;
  readonly class: AttemptClass;
  /** The request carries a picture of this many bytes to start from. */
  readonly sentBytes?: number;
}

const HTML = '<!DOCTYPE html><html><head><title>Sorry, you have been blocked</title></head></html>';

const all = (
  status: number,
  says: string,
  body: object | string,
  failureClass: AttemptClass,
): RefusalRow => ({ vendor: 'all', status, says, body, class: failureClass });

const openai = (
  status: number,
  says: string,
  error: object,
  failureClass: AttemptClass,
): RefusalRow => ({ vendor: 'openai', status, says, body: { error }, class: failureClass });

const cloudflare = (
  status: number,
  code: number,
  message: string,
  failureClass: AttemptClass,
): RefusalRow => ({
  ...{ vendor: 'cloudflare', status, class: failureClass, says: `${code} ${message}` },
  body: { success: false, errors: [{ code, message }], messages: [], result: null },
});

const badInput = (says: string, failureClass: AttemptClass): RefusalRow => ({
  ...cloudflare(400, 5006, `AiError: Bad input: Error: ${says}`, failureClass),
  says: `5006 ${says}`,
});

const fastApi = (
  vendor: 'automatic1111' | 'turbo',
  field: string,
  failureClass: AttemptClass,
): RefusalRow => ({
  ...{ vendor, status: 422, class: failureClass, says: `names \`${field}\`` },
  body: { detail: [{ loc: ['body', field], msg: 'value is not valid', type: 'value_error' }] },
});

const pollinations = (
  status: number,
  says: string,
  error: object | string,
  failureClass: AttemptClass,
): RefusalRow => ({
  ...{ vendor: 'pollinations', status, says, class: failureClass },
  body: typeof error === 'string' ? { error } : { status, success: false, error },
});

/** What every vendor's refusals stand for, by what they say. */
export const REFUSAL_TABLE: readonly RefusalRow[] = [
  all(302, 'a redirect', '', 'config'),
  all(400, 'nothing that names what is wrong', { message: 'Bad request' }, 'config'),
  all(400, 'a page in HTML', HTML, 'config'),
  all(401, 'any', {}, 'config'),
  all(402, 'any', {}, 'quota'),
  all(403, 'a page in HTML', HTML, 'config'),
  all(404, 'any', {}, 'config'),
  all(405, 'any', {}, 'config'),
  all(408, 'any', {}, 'timeout'),
  all(410, 'any', {}, 'config'),
  all(413, 'any, to a request without a picture', HTML, 'config'),
  all(422, 'nothing that names what is wrong', HTML, 'config'),
  all(429, 'any', {}, 'rate'),
  all(500, 'any', {}, 'server'),
  all(502, 'a page in HTML', HTML, 'server'),
  all(503, 'any', HTML, 'capacity'),
  all(200, 'a text in place of a picture', { note: 'try later' }, 'bad_output'),

  openai(400, 'param `prompt`', { code: 'string_above_max_length', param: 'prompt' }, 'caller'),
  openai(400, 'param `image`', { code: 'invalid_value', param: 'image[0]' }, 'caller'),
  openai(422, 'param `mask`', { code: null, param: 'mask' }, 'caller'),
  openai(400, 'code `invalid_image_file`', { code: 'invalid_image_file', param: null }, 'caller'),
  openai(400, 'a sentence about the prompt', { message: 'Your prompt is too long.' }, 'caller'),
  openai(
    400,
    'a sentence about the length of the prompt for a model',
    { message: 'Prompt exceeds the 1000 characters that model `x` takes' },
    'caller',
  ),
  openai(400, 'param `size`', { code: 'invalid_value', param: 'size' }, 'config'),
  openai(400, 'param `model`', { code: 'invalid_value', param: 'model' }, 'config'),
  openai(400, 'code `model_not_found`', { code: 'model_not_found', param: null }, 'config'),
  openai(
    400,
    'a sentence about the model',
    { message: 'The model `dall-e-3` has been deprecated.', type: 'invalid_request_error' },
    'config',
  ),
  openai(400, 'code `unknown_parameter`', { code: 'unknown_parameter', param: 'mask' }, 'config'),
  openai(400, 'code `invalid_api_key`', { code: 'invalid_api_key' }, 'config'),
  openai(400, 'code `moderation_blocked`', { code: 'moderation_blocked' }, 'safety'),
  openai(400, 'code `content_filter`', { code: 'content_filter' }, 'safety'),
  openai(400, 'code `billing_hard_limit_reached`', { code: 'billing_hard_limit_reached' }, 'quota'),
  openai(400, 'code `insufficient_quota`', { code: 'insufficient_quota' }, 'quota'),
  openai(403, 'code `insufficient_quota`', { code: 'insufficient_quota' }, 'quota'),
  openai(429, 'type `insufficient_quota`', { code: null, type: 'insufficient_quota' }, 'quota'),
  openai(200, 'code `insufficient_quota`', { code: 'insufficient_quota' }, 'quota'),
  openai(200, 'code `rate_limit_exceeded`', { code: 'rate_limit_exceeded' }, 'rate'),
  openai(200, 'code 429', { code: 429, message: 'Too many requests' }, 'rate'),
  openai(503, 'code `slow_down`', { code: 'slow_down' }, 'rate'),

  badInput("Length of '/prompt' must be <= 2048", 'caller'),
  badInput("'/image_b64' is too small", 'caller'),
  badInput("required properties at '/' are 'multipart'", 'config'),
  badInput("required properties at '/' are 'prompt'", 'config'),
  badInput("Additional or unevaluated properties '/width, /height' at '/' not allowed", 'config'),
  badInput("'/num_steps' must be <= 8", 'config'),
  cloudflare(400, 5004, 'Invalid data type for base64 input', 'caller'),
  cloudflare(413, 3006, 'Request is too large', 'caller'),
  cloudflare(400, 3030, 'Input prompt contains NSFW content.', 'safety'),
  cloudflare(200, 3030, 'Input prompt contains NSFW content.', 'safety'),
  cloudflare(424, 2016, 'Prompt blocked due to security configurations', 'safety'),
  cloudflare(400, 1000, 'Auth error', 'config'),
  cloudflare(400, 3003, 'Request is missing headers or body', 'config'),
  cloudflare(400, 5007, 'No such model or task', 'config'),
  cloudflare(400, 6003, 'Invalid request headers', 'config'),
  cloudflare(400, 7000, 'No route for that URI', 'config'),
  cloudflare(500, 7000, 'No route for that URI', 'config'),
  cloudflare(400, 7003, 'Could not route, perhaps your object identifier is invalid?', 'config'),
  cloudflare(400, 8001, 'Invalid input', 'config'),
  cloudflare(400, 9106, 'Missing X-Auth-Key, X-Auth-Email or Authorization headers', 'config'),
  cloudflare(200, 10000, 'Authentication error', 'config'),
  cloudflare(403, 5018, 'The account is not allowed to access this model', 'config'),
  cloudflare(404, 3042, 'The model name is invalid', 'config'),
  cloudflare(410, 5028, 'This model was deprecated', 'config'),
  cloudflare(429, 3036, 'You have used up your daily free allocation', 'quota'),
  cloudflare(429, 4006, 'you have used up your daily free allocation', 'quota'),
  cloudflare(400, 4006, 'you have used up your daily free allocation', 'quota'),
  cloudflare(200, 4006, 'you have used up your daily free allocation', 'quota'),
  cloudflare(429, 3021, 'rate limiting: inference requests per min', 'rate'),
  cloudflare(429, 3040, 'No more data centers to forward the request to', 'capacity'),
  cloudflare(408, 3007, 'Request timeout', 'timeout'),

  fastApi('automatic1111', 'prompt', 'caller'),
  fastApi('automatic1111', 'init_images', 'caller'),
  fastApi('automatic1111', 'cfg_scale', 'caller'),
  fastApi('automatic1111', 'override_settings', 'config'),
  fastApi('automatic1111', 'sampler_name', 'config'),
  {
    ...{ vendor: 'automatic1111', status: 400, says: '`Sampler not found`', class: 'unsupported' },
    body: { detail: 'Sampler not found' },
  },
  {
    ...{ vendor: 'automatic1111', status: 413, says: 'any, to a picture', class: 'unsupported' },
    ...{ body: HTML, sentBytes: 300_000 },
  },
  {
    ...{ vendor: 'automatic1111', status: 500, says: '`OutOfMemoryError`', class: 'capacity' },
    body: { error: 'OutOfMemoryError', errors: 'CUDA out of memory' },
  },
  fastApi('turbo', 'prompts', 'caller'),
  fastApi('turbo', 'width', 'caller'),
  fastApi('turbo', 'model', 'config'),

  pollinations(
    400,
    '`fieldErrors` of `model`',
    {
      code: 'BAD_REQUEST',
      details: { formErrors: [], fieldErrors: { model: ['Invalid option'] } },
    },
    'config',
  ),
  pollinations(
    400,
    '`fieldErrors` of `prompt`',
    { code: 'BAD_REQUEST', details: { formErrors: [], fieldErrors: { prompt: ['Too big'] } } },
    'caller',
  ),
  pollinations(
    400,
    'the path `model` in the JSON of its message',
    {
      code: 'BAD_REQUEST',
      message: JSON.stringify({
        error: 'Bad Request',
        details: [{ code: 'invalid_value', path: ['model'] }],
      }),
    },
    'config',
  ),
  pollinations(400, 'NSFW', { code: 'BAD_REQUEST', message: 'NSFW content detected' }, 'safety'),
  pollinations(422, '`content_policy_violation`', { code: 'content_policy_violation' }, 'safety'),
  pollinations(402, '`INSUFFICIENT_BALANCE`', { code: 'INSUFFICIENT_BALANCE' }, 'quota'),
  pollinations(402, '`KEY_BUDGET_EXHAUSTED`', { code: 'KEY_BUDGET_EXHAUSTED' }, 'quota'),
  pollinations(402, '`Queue full for IP`', 'Queue full for IP: 192.0.2.7 (max: 1).', 'rate'),
  pollinations(200, '`RATE_LIMITED`', { code: 'RATE_LIMITED' }, 'rate'),
  pollinations(410, '`GONE`', { code: 'GONE' }, 'config'),
  pollinations(414, 'any', HTML, 'unsupported'),
  pollinations(502, '`BAD_GATEWAY`', { code: 'BAD_GATEWAY' }, 'server'),
];
