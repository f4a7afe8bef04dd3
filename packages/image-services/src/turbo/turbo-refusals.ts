import { isJsonObject } from '@tiercel/contracts';
import {
  classifyRefusal,
  type Refusal,
  type VendorWords,
  type ClassifiedRefusal,
} from '../service/refusal.ts';

/** Running out of memory has no code here: the text is all there is. */
const OUT_OF_MEMORY_TEXT = /out of memory/i;

const WORDS: VendorWords = {
  codes: {},
  callersFields: new Set([
    ...['prompts', 'prompt', 'negative_prompt'],
    ...['steps', 'seed', 'width', 'height'],
  ]),
};

/** FastAPI's `{detail}`. */
export function classifyTurbo(refusal: Refusal): ClassifiedRefusal | undefined {
  const { json, status } = refusal;
  const detail = json !== undefined && isJsonObject(json) ? json.detail : undefined;
  if (status >= 500 && typeof detail === 'string' && OUT_OF_MEMORY_TEXT.test(detail)) {
    return { class: 'capacity', isOutOfMemory: true };
  }
  return classifyRefusal(refusal, WORDS);
}
