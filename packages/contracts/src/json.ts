import { parse, stringify } from 'lossless-json';

/** A JSON value whose integers beyond 2^53 are bigints, as Python would keep them. */
export type JsonValue =
  null | boolean | number | bigint | string | readonly JsonValue[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: JsonValue;
}

/** 16 or more digits in a row may not fit a double; fewer always do. */
const MAY_NOT_FIT_DIGITS = 16;
/** Python refuses longer integers too; converting them takes quadratic time. */
const MAX_DIGITS = 4_300;
/** Far beyond any real prompt; keeps recursive code from overflowing the stack. */
const MAX_DEPTH = 500;
const INTEGER = /^-?\d+$/;

function parseNumber(text: string): number | bigint {
  const value = Number(text);
  if (!INTEGER.test(text) || Number.isSafeInteger(value)) return value;
  return BigInt(text);
}

/**
 * How deep arrays and objects nest and how long the longest run of digits is, outside of strings. One
 * pass over the text: a pattern like /\d{4301}/ would look at each digit thousands of times.
 */
function survey(text: string): { depth: number; digits: number } {
  let depth = 0;
  let deepest = 0;
  let run = 0;
  let digits = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code >= 48 && code <= 57) {
      run += 1;
      if (run > digits) digits = run;
      continue;
    }
    run = 0;
    if (code === 34) {
      at += 1;
      while (at < text.length && text.charCodeAt(at) !== 34) {
        at += text.charCodeAt(at) === 92 ? 2 : 1;
      }
    } else if (code === 123 || code === 91) {
      depth += 1;
      if (depth > deepest) deepest = depth;
    } else if (code === 125 || code === 93) {
      depth -= 1;
    }
  }
  return { depth: deepest, digits };
}

/**
 * Parses JSON without losing digits: integers outside the safe range come back as bigint.
 * Texts without a long run of digits take the native parser, which is then exact.
 * @throws SyntaxError on anything that is not JSON (also on Python's NaN and Infinity), on nesting deeper
 *         than 500 levels, and on integers of over 4300 digits
 */
export function parseJson(text: string): JsonValue {
  const { depth, digits } = survey(text);
  if (depth > MAX_DEPTH) throw new SyntaxError(`JSON is nested deeper than ${MAX_DEPTH} levels`);
  if (digits > MAX_DIGITS) throw new SyntaxError(`JSON has a number of over ${MAX_DIGITS} digits`);
  // The native parser decides what is JSON, and its error messages are the clear ones.
  const value = JSON.parse(text) as JsonValue;
  if (digits < MAY_NOT_FIT_DIGITS) return value;
  return parse(text, undefined, {
    parseNumber,
    onDuplicateKey: ({ newValue }: { newValue: unknown }) => newValue,
  }) as JsonValue;
}

/** Writes JSON, bigints as plain digits. `undefined` members are left out. */
export function stringifyJson(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch (error) {
    // The native writer is many times faster, and refuses bigints.
    if (error instanceof TypeError) return stringify(value) ?? 'null';
    throw error;
  }
}

export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
