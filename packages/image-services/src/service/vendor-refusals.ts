import { type AttemptClass, isJsonObject } from '@tiercel/contracts';
import {
  type ClassifiedRefusal,
  classifyRefusal,
  type Refusal,
  type VendorWords,
} from './refusal.ts';

/** What the refusals of each vendor mean: its codes, and the fields that carry what the caller wrote. */

/** What PyTorch says; before 1.13 it was a RuntimeError, told apart by its text alone. */
const OUT_OF_MEMORY_TEXT = /out of memory/i;
/** The details of a fork's 404 for names that it does not have: the route and the server are fine. */
const UNKNOWN_NAMES = new Set(['Sampler not found', 'Scheduler not found']);

/** The server knows no ranges: numbers go to it as the caller gave them. Names of samplers and models are the driver's. */
const A1111_WORDS: VendorWords = {
  codes: {},
  callersFields: new Set([
    ...['prompt', 'negative_prompt', 'init_images', 'mask', 'denoising_strength'],
    ...['steps', 'cfg_scale', 'seed', 'width', 'height'],
  ]),
};

/**
 * Reads `{error, detail, body, errors}`, which the server answers to exceptions (`error` is the name of the Python
 * exception, `errors` its text), and FastAPI's `{detail}`. Source: modules/api/api.py.
 */
export function classifyA1111(refusal: Refusal): ClassifiedRefusal | undefined {
  const { json, status } = refusal;
  const { error, errors, detail } = json !== undefined && isJsonObject(json) ? json : {};
  const isOutOfMemory =
    error === 'OutOfMemoryError' ||
    (error === 'RuntimeError' && typeof errors === 'string' && OUT_OF_MEMORY_TEXT.test(errors));
  if (isOutOfMemory) return { class: 'capacity', isOutOfMemory };
  const isUnknown = typeof detail === 'string' && UNKNOWN_NAMES.has(detail);
  if (isUnknown && status < 500) return { class: 'unsupported' };
  return classifyRefusal(refusal, A1111_WORDS);
}

/**
 * Source: developers.cloudflare.com/workers-ai/platform/errors; what is not there as the API, its gateway and the
 * models answer it.
 */
const CLOUDFLARE_CODES: Readonly<Record<string, AttemptClass>> = {
  // The API in front of all products: token, account, path.
  1000: 'config',
  6003: 'config', // request headers; its chain (6100 to 6111) tells which
  7000: 'config', // no such route
  7001: 'config', // not by this method
  7003: 'config', // no such account
  9103: 'config',
  9106: 'config', // no credentials
  9109: 'config',
  10000: 'config',
  971: 'rate',
  // Workers AI.
  3003: 'config', // without headers or body
  3006: 'caller', // too large: nothing but pictures can be
  3007: 'timeout',
  3008: 'timeout', // aborted
  3021: 'rate',
  3023: 'config', // account blocked
  3030: 'safety',
  3036: 'quota', // the day's neurons are used up
  3039: 'config', // files of a finetune
  3040: 'capacity',
  3041: 'config', // not allowed
  3042: 'config', // no such model: retired
  4006: 'quota', // as 3036
  5004: 'caller', // base64 that cannot be read: nothing but pictures is in it
  5005: 'config', // LoRA not supported
  5007: 'config', // no such model
  5016: 'config', // agreement not accepted
  5018: 'config', // not allowed
  5019: 'config', // SDK too old
  5028: 'config', // model deprecated
  // The AI gateway.
  2001: 'config', // not set up
  2009: 'config', // not authorized
  2016: 'safety', // its guardrails blocked the prompt
  2017: 'safety', // or what came of it
};
const DAILY_QUOTA: ReadonlySet<string | undefined> = new Set(['3036', '4006']);
const DAY_MS = 86_400_000;

/** A request against the schema of the model (5006) is told by the names of its fields. */
const CLOUDFLARE_WORDS: VendorWords = {
  codes: CLOUDFLARE_CODES,
  callersFields: new Set([
    ...['prompt', 'negative_prompt', 'image', 'image_b64', 'mask'],
    ...['input_image_0', 'input_image_1', 'input_image_2', 'input_image_3'],
  ]),
};

/** `{success: false, errors: [{code, message}]}`, whatever its status. */
export function classifyCloudflare(refusal: Refusal): ClassifiedRefusal | undefined {
  const classified = classifyRefusal(refusal, CLOUDFLARE_WORDS);
  if (classified?.class !== 'quota' || !DAILY_QUOTA.has(classified.code)) return classified;
  return { ...classified, retryAtMs: nextUtcMidnightMs(Date.now()) };
}

/** When the free allocation of a day begins anew. */
export function nextUtcMidnightMs(nowMs: number): number {
  return (Math.floor(nowMs / DAY_MS) + 1) * DAY_MS;
}

/**
 * Codes and types of `{error: {message, type, param, code}}` that say more than the status: OpenAI's own (for images
 * those of `ResponseErrorCode` in its npm package), Azure's, and those of gateways that speak the same API.
 */
const OPENAI_CODES: Readonly<Record<string, AttemptClass>> = {
  moderation_blocked: 'safety',
  content_policy_violation: 'safety',
  image_content_policy_violation: 'safety',
  content_filter: 'safety',
  contentFilter: 'safety',
  ResponsibleAIPolicyViolation: 'safety',
  insufficient_quota: 'quota',
  insufficient_user_quota: 'quota',
  billing_hard_limit_reached: 'quota',
  billing_not_active: 'quota',
  rate_limit_exceeded: 'rate',
  slow_down: 'rate',
  engine_overloaded: 'capacity',
  invalid_api_key: 'config',
  account_deactivated: 'config',
  model_not_found: 'config',
  DeploymentNotFound: 'config',
  invalid_prompt: 'caller',
  invalid_image: 'caller',
  invalid_image_file: 'caller',
  invalid_image_format: 'caller',
  invalid_image_mode: 'caller',
  invalid_base64_image: 'caller',
  image_too_large: 'caller',
  image_too_small: 'caller',
  image_file_too_large: 'caller',
  image_parse_error: 'caller',
  empty_image_file: 'caller',
  unsupported_image_media_type: 'caller',
};

/** A size is the driver's choice among the model's, and so are `n` and all the others. */
const OPENAI_WORDS: VendorWords = {
  codes: OPENAI_CODES,
  callersFields: new Set(['prompt', 'image', 'mask']),
};

export function classifyOpenAi(refusal: Refusal): ClassifiedRefusal | undefined {
  return classifyRefusal(refusal, OPENAI_WORDS);
}

/** Codes of `{status, success: false, error: {code, message}}` that say more than the status. */
const POLLINATIONS_CODES: Readonly<Record<string, AttemptClass>> = {
  UNAUTHORIZED: 'config',
  FORBIDDEN: 'config',
  NOT_FOUND: 'config',
  GONE: 'config',
  PAYMENT_REQUIRED: 'quota',
  INSUFFICIENT_BALANCE: 'quota',
  KEY_BUDGET_EXHAUSTED: 'quota',
  RATE_LIMITED: 'rate',
  content_policy_violation: 'safety',
};

const POLLINATIONS_WORDS: VendorWords = {
  codes: POLLINATIONS_CODES,
  callersFields: new Set(['prompt', 'negative_prompt', 'image']),
};

/** The legacy route has no code for it, and answers it with 400 as with 500. */
const SAFETY_TEXT =
  /\bnsfw\b|content (?:policy|moderation|filter|is prohibited)|prohibited content/i;
/** Of its one request at a time for callers without a key: asked for as a payment, over when that request is. */
const QUEUE_TEXT = /\bqueue (?:is )?full\b/i;

export function classifyPollinations(refusal: Refusal): ClassifiedRefusal | undefined {
  // The prompt is in the URL: with another API it may well fit.
  if (refusal.status === 414) return { class: 'unsupported' };
  const classified = classifyRefusal(refusal, POLLINATIONS_WORDS);
  const says = classified?.says ?? '';
  if (classified?.class === 'quota' && QUEUE_TEXT.test(says))
    return { ...classified, class: 'rate' };
  const isUnnamed = classified?.class === 'config' || classified?.class === 'server';
  return isUnnamed && SAFETY_TEXT.test(says) ? { ...classified, class: 'safety' } : classified;
}

const TURBO_WORDS: VendorWords = {
  codes: {},
  callersFields: new Set([
    ...['prompts', 'prompt', 'negative_prompt'],
    ...['steps', 'seed', 'width', 'height'],
  ]),
};

/** FastAPI's `{detail}`. Running out of memory has no code here: the text is all there is. */
export function classifyTurbo(refusal: Refusal): ClassifiedRefusal | undefined {
  const { json, status } = refusal;
  const detail = json !== undefined && isJsonObject(json) ? json.detail : undefined;
  if (status >= 500 && typeof detail === 'string' && OUT_OF_MEMORY_TEXT.test(detail)) {
    return { class: 'capacity', isOutOfMemory: true };
  }
  return classifyRefusal(refusal, TURBO_WORDS);
}
