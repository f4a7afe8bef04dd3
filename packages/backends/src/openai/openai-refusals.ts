import { isJsonObject } from '@tiercel/contracts';
import type { AttemptClass } from '../failures.ts';
import type { Refusal, Verdict } from '../service/refusal.ts';

/** Codes of `{error: {message, type, param, code}}` that say more than the status. */
const CLASSES: Readonly<Record<string, AttemptClass>> = {
  moderation_blocked: 'safety',
  content_policy_violation: 'safety',
  insufficient_quota: 'quota',
  billing_hard_limit_reached: 'quota',
  rate_limit_exceeded: 'rate',
  model_not_found: 'config',
};

/** What a request holds of the caller's; a complaint about another field is ours or the configuration's. */
const CALLERS_FIELDS = new Set(['prompt', 'image', 'image[]', 'mask']);
const CALLERS_STATUSES = new Set([400, 413, 422]);

export function classifyOpenAi({ status, json }: Refusal): Verdict | undefined {
  const error = json !== undefined && isJsonObject(json) ? json.error : undefined;
  if (!isJsonObject(error)) return undefined;
  const says = typeof error.message === 'string' ? error.message : undefined;
  const known = typeof error.code === 'string' ? CLASSES[error.code] : undefined;
  if (known !== undefined) return { class: known, says };
  if (!CALLERS_STATUSES.has(status)) return undefined;
  const isOurs = typeof error.param === 'string' && !CALLERS_FIELDS.has(error.param);
  return { class: isOurs ? 'config' : 'caller', says };
}
