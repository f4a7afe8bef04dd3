import type { AttemptClass } from '@tiercel/contracts';
import {
  classifyRefusal,
  type Refusal,
  type VendorWords,
  type ClassifiedRefusal,
} from '../service/refusal.ts';

/** Codes of `{status, success: false, error: {code, message}}` that say more than the status. */
const CODES: Readonly<Record<string, AttemptClass>> = {
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

const WORDS: VendorWords = {
  codes: CODES,
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
  const classified = classifyRefusal(refusal, WORDS);
  const says = classified?.says ?? '';
  if (classified?.class === 'quota' && QUEUE_TEXT.test(says))
    return { ...classified, class: 'rate' };
  const isUnnamed = classified?.class === 'config' || classified?.class === 'server';
  return isUnnamed && SAFETY_TEXT.test(says) ? { ...classified, class: 'safety' } : classified;
}
