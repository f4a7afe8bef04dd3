import { isJsonObject } from '@tiercel/contracts';
import type { AttemptClass } from '../failures.ts';
import type { Refusal, Verdict } from '../service/refusal.ts';

/** Codes of `{status, success: false, error: {code, message}}` that say more than the status. */
const CLASSES: Readonly<Record<string, AttemptClass>> = {
  BAD_REQUEST: 'caller',
  UNAUTHORIZED: 'config',
  FORBIDDEN: 'config',
  PAYMENT_REQUIRED: 'quota',
  INSUFFICIENT_BALANCE: 'quota',
  KEY_BUDGET_EXHAUSTED: 'quota',
  RATE_LIMITED: 'rate',
  content_policy_violation: 'safety',
};
/** The legacy route has no code for it. Taken for a bad request it would end the job just the same. */
const SAFETY_TEXT = /\bnsfw\b|content (?:policy|moderation|filter)/i;

export function classifyPollinations({ json }: Refusal): Verdict | undefined {
  const error = json !== undefined && isJsonObject(json) ? json.error : undefined;
  if (!isJsonObject(error)) return undefined;
  const says = typeof error.message === 'string' ? error.message : undefined;
  const known = typeof error.code === 'string' ? CLASSES[error.code] : undefined;
  if (known === undefined) return undefined;
  const isSafety = known === 'caller' && says !== undefined && SAFETY_TEXT.test(says);
  return { class: isSafety ? 'safety' : known, says };
}
