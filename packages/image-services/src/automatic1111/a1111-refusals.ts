import { isJsonObject } from '@tiercel/contracts';
import {
  classifyRefusal,
  type Refusal,
  type VendorWords,
  type ClassifiedRefusal,
} from '../service/refusal.ts';

/** Before PyTorch 1.13 running out of memory was a RuntimeError, told apart by its text alone. */
const OUT_OF_MEMORY_TEXT = /out of memory/i;
/** The details of a fork's 404 for names that it does not have: the route and the server are fine. */
const UNKNOWN_NAMES = new Set(['Sampler not found', 'Scheduler not found']);

/** The server knows no ranges: numbers go to it as the caller gave them. Names of samplers and models are the driver's. */
const WORDS: VendorWords = {
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
  return classifyRefusal(refusal, WORDS);
}
