import type { InputSpec, JsonObject, JsonValue, PromptError } from '@tiercel/contracts';
import { repr, str } from './python-text.ts';

/** What a value is after ComfyUI has converted it, or why it will not do. */
export type Checked =
  | { readonly ok: true; readonly value: JsonValue }
  | { readonly ok: false; readonly error: PromptError };

/** `[type, options]` as the errors repeat it. */
export function configOf([type, options]: InputSpec): [string | readonly JsonValue[], JsonObject] {
  return [type, options ?? {}];
}

/** Converts and checks one plain input value (wire 6.11, 6.12). */
export function checkValue(name: string, spec: InputSpec, value: JsonValue): Checked {
  const [type, options] = configOf(spec);
  const config = { input_name: name, input_config: [type, options] };
  let converted = value;
  try {
    converted = convert(type, value);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return refuse({
      type: 'invalid_input_type',
      message: `Failed to convert an input value to a ${str(type)} value`,
      details: `${name}, ${str(value)}, ${reason}`,
      extra_info: { ...config, received_value: value, exception_message: reason },
    });
  }
  for (const [limit, word, isBeyond] of [
    ['min', 'smaller', (bound: number) => Number(converted) < bound],
    ['max', 'bigger', (bound: number) => Number(converted) > bound],
  ] as const) {
    const bound = options[limit];
    if (bound === undefined || !isBeyond(Number(bound))) continue;
    return refuse({
      type: `value_${word}_than_${limit}`,
      message: `Value ${str(converted)} ${word} than ${limit} of ${Number(bound)}`,
      details: name,
      extra_info: { ...config, received_value: converted },
    });
  }
  const choices = type === 'COMBO' ? options.options : type;
  if (Array.isArray(choices) && !choices.includes(converted)) {
    return refuse(describeWrongChoice(name, config, choices as JsonValue[], converted));
  }
  return { ok: true, value: converted };
}

function refuse(error: PromptError): Checked {
  return { ok: false, error };
}

const MAX_LISTED = 20;

function describeWrongChoice(
  name: string,
  config: JsonObject,
  choices: readonly JsonValue[],
  value: JsonValue,
): PromptError {
  const isLong = choices.length > MAX_LISTED;
  const listed = isLong ? `(list of length ${choices.length})` : repr(choices);
  return {
    type: 'value_not_in_list',
    message: 'Value not in list',
    details: `${name}: ${repr(value)} not in ${listed}`,
    extra_info: { ...config, ...(isLong ? { input_config: null } : {}), received_value: value },
  };
}

function convert(type: InputSpec[0], value: JsonValue): JsonValue {
  switch (type) {
    case 'INT':
      return toInt(value);
    case 'FLOAT':
      return toFloat(value);
    case 'STRING':
      return typeof value === 'string' ? value : str(value);
    case 'BOOLEAN':
      return Boolean(value);
    default:
      return value;
  }
}

function toInt(value: JsonValue): number | bigint {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return Math.trunc(Number(value));
  if (typeof value !== 'string') {
    throw new TypeError(
      'int() argument must be a string, a bytes-like object or a real number, ' +
        `not '${typeNameOf(value)}'`,
    );
  }
  if (!/^\s*[+-]?\d+\s*$/.test(value)) {
    throw new TypeError(`invalid literal for int() with base 10: ${repr(value)}`);
  }
  const exact = BigInt(value.trim().replace(/^\+/, ''));
  return Number.isSafeInteger(Number(exact)) ? Number(exact) : exact;
}

function toFloat(value: JsonValue): number {
  if (typeof value === 'object') {
    const name = typeNameOf(value);
    throw new TypeError(`float() argument must be a string or a real number, not '${name}'`);
  }
  const number = Number(value);
  if (Number.isNaN(number) || value === '') {
    throw new TypeError(`could not convert string to float: ${repr(value)}`);
  }
  return number;
}

function typeNameOf(value: JsonValue): string {
  if (value === null) return 'NoneType';
  return Array.isArray(value) ? 'list' : 'dict';
}
