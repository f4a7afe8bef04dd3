import { isJsonObject, type JsonValue } from '@tiercel/contracts';
import type { AttemptClass } from '../failures.ts';
import type { Refusal, Verdict } from '../service/refusal.ts';

/** Source: developers.cloudflare.com/workers-ai/platform/errors; 3030 as the models answer it. */
const CLASSES: Readonly<Record<number, AttemptClass>> = {
  3003: 'caller', // incomplete request
  3006: 'caller', // request too large
  5004: 'caller', // base64 that cannot be read
  5006: 'caller', // against the model's schema
  3030: 'safety',
  3007: 'timeout',
  3008: 'timeout', // aborted
  3023: 'config', // account blocked
  3039: 'config', // files of a finetune
  3041: 'config', // not allowed
  3042: 'config', // no such model: retired
  5005: 'config', // LoRA not supported
  5007: 'config', // no such model
  5016: 'config', // agreement not accepted
  5018: 'config', // not allowed
  5019: 'config', // SDK too old
  3036: 'quota', // the day's neurons are used up
  3040: 'capacity',
};
const DAILY_QUOTA = 3036;
const DAY_MS = 86_400_000;

/** The first error of `{success: false, errors: [{code, message}]}` decides. */
export function classifyCloudflare({ json }: Pick<Refusal, 'json'>): Verdict | undefined {
  const first = firstError(json);
  const code = typeof first?.code === 'number' ? first.code : undefined;
  const failureClass = code === undefined ? undefined : CLASSES[code];
  if (failureClass === undefined) return undefined;
  return {
    class: failureClass,
    ...(code === DAILY_QUOTA ? { retryAtMs: nextUtcMidnightMs(Date.now()) } : {}),
    ...(typeof first?.message === 'string' ? { says: first.message } : {}),
  };
}

function firstError(json: JsonValue | undefined): Readonly<Record<string, JsonValue>> | undefined {
  if (json === undefined || !isJsonObject(json) || !Array.isArray(json.errors)) return undefined;
  // Array.isArray makes a readonly array of a union `any[]`.
  const [first] = json.errors as readonly JsonValue[];
  return isJsonObject(first) ? first : undefined;
}

/** When the free allocation of a day begins anew. */
export function nextUtcMidnightMs(nowMs: number): number {
  return (Math.floor(nowMs / DAY_MS) + 1) * DAY_MS;
}
