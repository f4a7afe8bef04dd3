import { parse, stringify } from 'lossless-json';

/** A JSON value whose integers beyond 2^53 are bigints, as Python would keep them. */
export type JsonValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | readonly JsonValue[]
  | JsonObject;
export interface JsonObject {
  readonly [key: string]: JsonValue;
}

/** 16 or more digits in a row may not fit a double; fewer always do. */
const MAYBE_BIG_INTEGER = /\d{16}/;
const INTEGER = /^-?\d+$/;

function parseNumber(text: string): number | bigint {
  const value = Number(text);
  if (!INTEGER.test(text) || Number.isSafeInteger(value)) return value;
  return BigInt(text);
}

/**
 * Parses JSON without losing digits: integers outside the safe range come back as bigint.
 * Texts without a long run of digits take the native parser, which is then exact.
 * @throws SyntaxError on anything that is not JSON (also on Python's NaN and Infinity)
 */
export function parseJson(text: string): JsonValue {
  if (!MAYBE_BIG_INTEGER.test(text)) return JSON.parse(text) as JsonValue;
  JSON.parse(text); // the native parser decides what is JSON, and its error messages are the clear ones
  try {
    return parse(text, undefined, {
      parseNumber,
      onDuplicateKey: ({ newValue }: { newValue: unknown }) => newValue,
    }) as JsonValue;
  } catch (cause) {
    throw cause instanceof SyntaxError ? cause : new SyntaxError('JSON is nested too deeply', { cause });
  }
}

/** Writes JSON, bigints as plain digits. `undefined` members are left out. */
export function stringifyJson(value: unknown): string {
  return containsBigInt(value) ? (stringify(value) ?? 'null') : JSON.stringify(value);
}

function containsBigInt(value: unknown): boolean {
  if (typeof value === 'bigint') return true;
  if (typeof value !== 'object' || value === null) return false;
  for (const item of Object.values(value)) if (containsBigInt(item)) return true;
  return false;
}

export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
