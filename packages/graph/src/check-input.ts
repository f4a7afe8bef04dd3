import type { JsonValue, PromptError } from '@tiercel/contracts';
import type { Choices, CompiledClass, CompiledInput } from './class-table.ts';
import { coerceToType, CoercionError, unwrapValue } from './coerce-input.ts';
import {
  badLink,
  badValue,
  notInList,
  outOfRange,
  type PythonException,
  typeMismatch,
} from './prompt-errors.ts';
import {
  asNumber,
  clipText,
  isList,
  pythonEquals,
  pythonRepr,
  pythonTypeName,
} from './python-text.ts';

/** What looking at one input's value can come to. */
export type InputVerdict =
  | { readonly kind: 'fine' }
  | { readonly kind: 'error'; readonly error: PromptError }
  | { readonly kind: 'exception'; readonly exception: PythonException }
  /** Fine if a file of this (perhaps annotated) name exists. */
  | { readonly kind: 'file'; readonly name: string };

const FINE: InputVerdict = { kind: 'fine' };

/** Checks a value that is not a list, as ComfyUI 0.3.64: unwrap, convert, range, choices or file. */
export function checkValue(input: CompiledInput, given: JsonValue): InputVerdict {
  const raw = unwrapValue(given);
  let value: JsonValue;
  try {
    value = coerceToType(input.type, raw);
  } catch (error) {
    if (!(error instanceof CoercionError)) throw error;
    return { kind: 'error', error: badValue(input, raw, error.message) };
  }
  if (input.file !== undefined) {
    if (typeof value === 'string') return { kind: 'file', name: value };
    return raise('AttributeError', `'${pythonTypeName(value)}' object has no attribute 'endswith'`);
  }
  return checkRange(input, value) ?? checkChoices(input, value) ?? FINE;
}

function checkRange(input: CompiledInput, value: JsonValue): InputVerdict | undefined {
  for (const side of ['min', 'max'] as const) {
    const bound = input[side];
    if (bound === undefined) continue;
    const [left, right] = [asNumber(value), asNumber(bound)];
    if (left === undefined || right === undefined) {
      const operator = side === 'min' ? '<' : '>';
      const types = `'${pythonTypeName(value)}' and '${pythonTypeName(bound)}'`;
      return raise('TypeError', `'${operator}' not supported between instances of ${types}`);
    }
    // Comparing a bigint with a number is exact in JavaScript.
    if (side === 'min' ? left < right : left > right) {
      return { kind: 'error', error: outOfRange(input, value, side) };
    }
  }
  return undefined;
}

function checkChoices(input: CompiledInput, value: JsonValue): InputVerdict | undefined {
  const choices = input.choices;
  if (choices === undefined) return undefined;
  const asked = choices.several && isList(value) ? value : [value];
  const refused = asked.filter((item) => !isChoice(choices, item));
  if (refused.length === 0) return undefined;
  return { kind: 'error', error: notInList(input, value, refused) };
}

function isChoice(choices: Choices, value: JsonValue): boolean {
  if (choices.names.has(value) || (choices.anyText && typeof value === 'string')) return true;
  return typeof value !== 'string' && choices.values.some((choice) => pythonEquals(choice, value));
}

/** Finds the class of a link's source node; undefined when the prompt has no such node. */
type FindSource = (nodeId: string) => CompiledClass | undefined;

/**
 * Checks a list value, which ComfyUI always takes for a link: its length, its source, its slot and its
 * type. Stricter than Python in one point: a slot is a whole number from 0 (Python's -1 and True work by
 * accident).
 */
export function checkLink(
  input: CompiledInput,
  link: readonly JsonValue[],
  findSource: FindSource,
): InputVerdict {
  const [nodeId, slot] = link;
  if (link.length !== 2 || nodeId === undefined || slot === undefined) {
    return { kind: 'error', error: badLink(input, link) };
  }
  if (typeof nodeId === 'object' && nodeId !== null) {
    return raise('TypeError', `unhashable type: '${pythonTypeName(nodeId)}'`);
  }
  const source = typeof nodeId === 'string' ? findSource(nodeId) : undefined;
  if (source === undefined) return raise('KeyError', clipText(pythonRepr(nodeId)));
  if (typeof slot !== 'bigint' && !Number.isSafeInteger(slot)) {
    const type = pythonTypeName(slot);
    return raise('TypeError', `tuple indices must be integers or slices, not ${type}`);
  }
  const received = source.outputs[Number(slot)];
  if (received === undefined) return raise('IndexError', 'tuple index out of range');
  if (!typesMatch(received, input.type)) {
    return { kind: 'error', error: typeMismatch(input, received, link) };
  }
  return FINE;
}

function raise(type: string, message: string): InputVerdict {
  return { kind: 'exception', exception: { type, message } };
}

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
