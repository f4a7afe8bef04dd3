import type { JsonValue } from '@tiercel/contracts';
import { isList, pythonEquals } from './python-text.ts';

/** `*` takes anything; MatchType inputs of newer nodes are checked by the frontend only. */
const ANY_TYPES: ReadonlySet<JsonValue> = new Set(['*', 'COMFY_MATCHTYPE_V3']);

/**
 * Whether an output of type `received` may be linked to an input of type `expected`, as ComfyUI: equal types
 * (combo lists by content), `*` on either side, a list of choices for a COMBO, or comma-separated unions
 * that share a name.
 */
export function typesMatch(received: JsonValue, expected: JsonValue): boolean {
  if (received === expected || ANY_TYPES.has(received) || ANY_TYPES.has(expected)) return true;
  if (typeof received !== 'string' || typeof expected !== 'string') {
    return (isList(received) && expected === 'COMBO') || pythonEquals(received, expected);
  }
  const names = new Set(splitUnion(expected));
  return names.has('*') || splitUnion(received).some((name) => name === '*' || names.has(name));
}

function splitUnion(type: string): string[] {
  return type.split(',').map((name) => name.trim());
}
