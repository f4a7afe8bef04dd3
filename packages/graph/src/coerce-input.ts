import { isJsonObject, type InputSpec, type JsonValue } from '@tiercel/contracts';
import { isList, pythonRepr, pythonStr, pythonTypeName } from './python-text.ts';

/** A value that its input's type cannot take; `message` is the one Python would give. */
export class CoercionError extends Error {
  /** Python's name of the exception: `ValueError`, `TypeError`, `OverflowError`. */
  readonly exceptionType: string;

  constructor(exceptionType: string, message: string) {
    super(message);
    this.name = 'CoercionError';
    this.exceptionType = exceptionType;
  }
}

/** Python's default limit on the digits of an integer in text; it also keeps BigInt() cheap. */
const MAX_INTEGER_DIGITS = 4300;

const INTEGER_TEXT = /^[+-]?\d+(?:_\d+)*$/;
const FLOAT_TEXT =
  /^[+-]?(?:\d+(?:_\d+)*(?:\.(?:\d+(?:_\d+)*)?)?|\.\d+(?:_\d+)*)(?:e[+-]?\d+(?:_\d+)*)?$/i;
const SPECIAL_FLOAT_TEXT = /^([+-]?)(inf|infinity|nan)$/i;

/**
 * A prompt's value as the node receives it: `{__value__: x}` is unwrapped, then INT, FLOAT, STRING and
 * BOOLEAN inputs go through Python's int(), float(), str() and bool(); other types pass unchanged.
 * Integers outside the safe range are bigints. As ComfyUI 0.3.64, wire 6.12. Not for links.
 * @throws CoercionError when Python's conversion would raise
 */
export function coerceInput(spec: InputSpec, value: JsonValue): JsonValue {
  return coerceToType(spec[0], unwrapValue(value));
}

/** `{__value__: x}` -> x: how a client passes a list that is not a link. */
export function unwrapValue(value: JsonValue): JsonValue {
  return isJsonObject(value) && Object.hasOwn(value, '__value__')
    ? (value.__value__ ?? null)
    : value;
}

/** The conversion alone, without unwrapping. @throws CoercionError */
export function coerceToType(type: JsonValue, value: JsonValue): JsonValue {
  switch (type) {
    case 'INT':
      return toInt(value);
    case 'FLOAT':
      return toFloat(value);
    case 'STRING':
      return pythonStr(value);
    case 'BOOLEAN':
      return toBool(value);
    default:
      return value;
  }
}

function toInt(value: JsonValue): number | bigint {
  if (typeof value === 'number') {
    if (Number.isSafeInteger(value)) return value;
    if (Number.isNaN(value)) {
      throw new CoercionError('ValueError', 'cannot convert float NaN to integer');
    }
    if (!Number.isFinite(value)) {
      throw new CoercionError('OverflowError', 'cannot convert float infinity to integer');
    }
    return narrow(BigInt(Math.trunc(value)));
  }
  if (typeof value === 'bigint') return narrow(value);
  if (typeof value === 'boolean') return Number(value);
  if (typeof value === 'string') return parseInteger(value);
  throw new CoercionError(
    'TypeError',
    `int() argument must be a string, a bytes-like object or a real number, not '${pythonTypeName(value)}'`,
  );
}

function parseInteger(text: string): number | bigint {
  const trimmed = text.trim();
  if (!INTEGER_TEXT.test(trimmed)) {
    // Python cuts the text it shows to 200 characters.
    const shown = pythonRepr(text.slice(0, 200)).slice(0, 200);
    throw new CoercionError('ValueError', `invalid literal for int() with base 10: ${shown}`);
  }
  const digits = trimmed.replace(/[+_-]/g, '');
  if (digits.length > MAX_INTEGER_DIGITS) {
    throw new CoercionError(
      'ValueError',
      `Exceeds the limit (${MAX_INTEGER_DIGITS} digits) for integer string conversion: value has ${digits.length} digits; use sys.set_int_max_str_digits() to increase the limit`,
    );
  }
  const value = BigInt(digits);
  return narrow(trimmed.startsWith('-') ? -value : value);
}

function narrow(value: bigint): number | bigint {
  const asDouble = Number(value);
  return Number.isSafeInteger(asDouble) ? asDouble : value;
}

function toFloat(value: JsonValue): number {
  if (typeof value === 'number') return value;
  if (typeof value === 'boolean') return Number(value);
  if (typeof value === 'bigint') {
    const asDouble = Number(value);
    if (Number.isFinite(asDouble)) return asDouble;
    throw new CoercionError('OverflowError', 'int too large to convert to float');
  }
  if (typeof value === 'string') return parseFloatText(value);
  throw new CoercionError(
    'TypeError',
    `float() argument must be a string or a real number, not '${pythonTypeName(value)}'`,
  );
}

function parseFloatText(text: string): number {
  const trimmed = text.trim();
  if (FLOAT_TEXT.test(trimmed)) return Number(trimmed.replaceAll('_', ''));
  const special = SPECIAL_FLOAT_TEXT.exec(trimmed);
  if (special === null) {
    throw new CoercionError('ValueError', `could not convert string to float: ${pythonRepr(text)}`);
  }
  if (special[2]?.toLowerCase() === 'nan') return NaN;
  return special[1] === '-' ? -Infinity : Infinity;
}

/** Python's truth: empty and zero are false, everything else (also "false") is true. */
function toBool(value: JsonValue): boolean {
  if (isList(value)) return value.length > 0;
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0;
  // NaN is true in Python and cannot come from JSON.
  return Boolean(value);
}
