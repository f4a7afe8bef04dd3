import type { AttemptClass } from '@tiercel/contracts';
import {
  classifyRefusal,
  type Refusal,
  type VendorWords,
  type ClassifiedRefusal,
} from '../service/refusal.ts';

/**
 * Source: developers.cloudflare.com/workers-ai/platform/errors; what is not there as the API, its gateway and the
 * models answer it.
 */
const CODES: Readonly<Record<string, AttemptClass>> = {
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
const WORDS: VendorWords = {
  codes: CODES,
  callersFields: new Set([
    ...['prompt', 'negative_prompt', 'image', 'image_b64', 'mask'],
    ...['input_image_0', 'input_image_1', 'input_image_2', 'input_image_3'],
  ]),
};

/** `{success: false, errors: [{code, message}]}`, whatever its status. */
export function classifyCloudflare(refusal: Refusal): ClassifiedRefusal | undefined {
  const classified = classifyRefusal(refusal, WORDS);
  if (classified?.class !== 'quota' || !DAILY_QUOTA.has(classified.code)) return classified;
  return { ...classified, retryAtMs: nextUtcMidnightMs(Date.now()) };
}

/** When the free allocation of a day begins anew. */
export function nextUtcMidnightMs(nowMs: number): number {
  return (Math.floor(nowMs / DAY_MS) + 1) * DAY_MS;
}
