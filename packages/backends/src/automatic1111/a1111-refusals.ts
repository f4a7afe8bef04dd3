import { isJsonObject, type JsonValue } from '@tiercel/contracts';
import { classifyStatus } from '../http-failures.ts';
import type { Refusal, Verdict } from '../service/refusal.ts';

/** `error` is the name of the Python exception; `errors` its text. */
const OUT_OF_MEMORY = 'OutOfMemoryError';
/** Before PyTorch 1.13 running out of memory was a RuntimeError, told apart by its text alone. */
const OUT_OF_MEMORY_TEXT = /out of memory/i;
/** The details of a fork's 404 for names that it does not have: the route and the server are fine. */
const UNKNOWN_NAMES = new Set(['Sampler not found', 'Scheduler not found']);

/**
 * Reads `{error, detail, body, errors}`, which the server answers to exceptions, and FastAPI's `{detail}`.
 * Source: modules/api/api.py.
 */
export function classifyA1111({ status, json }: Refusal): Verdict | undefined {
  const answer = json !== undefined && isJsonObject(json) ? json : {};
  const { error, errors, detail } = answer;
  const isOutOfMemory =
    error === OUT_OF_MEMORY ||
    (error === 'RuntimeError' && typeof errors === 'string' && OUT_OF_MEMORY_TEXT.test(errors));
  if (status >= 500) return isOutOfMemory ? { class: 'capacity', isOutOfMemory } : undefined;
  if (typeof detail === 'string' && UNKNOWN_NAMES.has(detail)) return { class: 'unsupported' };
  return { class: classifyStatus(status, 'caller'), says: readDetail(detail) };
}

/** FastAPI's detail: a text, or a list of what is wrong with which field. */
function readDetail(detail: JsonValue | undefined): string | undefined {
  if (typeof detail === 'string') return detail;
  if (!Array.isArray(detail)) return undefined;
  // Array.isArray makes a readonly array of a union `any[]`.
  const [first] = detail as readonly JsonValue[];
  return isJsonObject(first) && typeof first.msg === 'string' ? first.msg : undefined;
}
