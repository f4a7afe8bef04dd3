import { stringify } from 'lossless-json';

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

/** What can be told of JSON text before it is parsed. */
interface Survey {
  /** How deep arrays and objects nest. */
  readonly depth: number;
  /** The longest run of digits outside of strings. */
  readonly digits: number;
  /** No fewer than there are values: members, elements, and containers. */
  readonly values: number;
  /** Where integers begin and end that may not fit a double. */
  readonly longIntegers: readonly number[];
}

/** One pass over the text: a pattern like /\d{4301}/ would look at each digit thousands of times. */
function survey(text: string): Survey {
  let depth = 0;
  let deepest = 0;
  let digits = 0;
  let values = 1;
  const longIntegers: number[] = [];
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 34) {
      at = endOfString(text, at);
    } else if (code >= 48 && code <= 57) {
      const start = at;
      while (isDigit(text.charCodeAt(at + 1))) at += 1;
      const run = at + 1 - start;
      if (run > digits) digits = run;
      if (run >= MAY_NOT_FIT_DIGITS) noteInteger(text, start, at + 1, longIntegers);
    } else if (code === 44) {
      values += 1;
    } else if (code === 123 || code === 91) {
      values += 1;
      depth += 1;
      if (depth > deepest) deepest = depth;
    } else if (code === 125 || code === 93) {
      depth -= 1;
    }
  }
  return { depth: deepest, digits, values, longIntegers };
}

/** The place of the quotation mark that ends the string; the end of the text when there is none. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (text.charCodeAt(end - 1 - backslashes) === 92) backslashes += 1;
    if (backslashes % 2 === 0) return end;
  }
  return text.length;
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}

/** Notes the run of digits if it is a whole number, and not part of a fraction or an exponent. */
function noteInteger(text: string, start: number, end: number, found: number[]): void {
  const isNegative = text.charAt(start - 1) === '-';
  const before = text.charAt(start - (isNegative ? 2 : 1));
  const after = text.charAt(end);
  if ('.eE+'.includes(before) && before !== '') return;
  if ('.eE'.includes(after) && after !== '') return;
  // No number of JSON begins with a zero; the parser is to see it as it is.
  if (text.charAt(start) !== '0') found.push(isNegative ? start - 1 : start, end);
}

/** Stands in a text for the quotation mark of a number, and in no text but by a chance of 1 to 2^64. */
const MARK = `int-${randomHex()}:`;

function randomHex(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/**
 * Parses JSON without losing digits: integers outside the safe range come back as bigint. The native parser
 * does the work, and is given such integers as marked strings.
 * @param limits.maxValues most members, elements and containers together; each takes memory many times its text
 * @throws JsonTooLargeError; SyntaxError on anything that is not JSON (also on Python's NaN and Infinity), on
 *         nesting deeper than 500 levels, and on integers of over 4300 digits
 */
export function parseJson(text: string, limits: { readonly maxValues?: number } = {}): JsonValue {
  const { depth, digits, values, longIntegers } = survey(text);
  if (limits.maxValues !== undefined && values > limits.maxValues) {
    throw new JsonTooLargeError(limits.maxValues);
  }
  if (depth > MAX_DEPTH) throw new SyntaxError(`JSON is nested deeper than ${MAX_DEPTH} levels`);
  if (digits > MAX_DIGITS) throw new SyntaxError(`JSON has a number of over ${MAX_DIGITS} digits`);
  if (longIntegers.length === 0) return JSON.parse(text) as JsonValue;
  const marked = markIntegers(text, longIntegers);
  if (marked === undefined) return JSON.parse(text) as JsonValue;
  let value: JsonValue;
  try {
    value = JSON.parse(marked) as JsonValue;
  } catch {
    // What is wrong is said of the text as it was written.
    return JSON.parse(text) as JsonValue;
  }
  return restoreIntegers(value);
}

/** Of JSON text: no fewer than it has members, elements and containers together. */
export function countJsonValues(text: string): number {
  return survey(text).values;
}

/** JSON with more values than whoever parses it wants to hold. */
export class JsonTooLargeError extends Error {
  constructor(maxValues: number) {
    super(`JSON has more than ${maxValues} values`);
    this.name = 'JsonTooLargeError';
  }
}

/** @returns undefined when one is the name of a member: that is no JSON, and would be with a string there */
function markIntegers(text: string, places: readonly number[]): string | undefined {
  let marked = '';
  let copied = 0;
  for (let index = 0; index < places.length; index += 2) {
    const [start = 0, end = 0] = [places[index], places[index + 1]];
    let next = end;
    while (text.charCodeAt(next) <= 32) next += 1;
    if (text.charCodeAt(next) === 58) return undefined;
    marked += `${text.slice(copied, start)}"${MARK}${text.slice(start, end)}"`;
    copied = end;
  }
  return marked + text.slice(copied);
}

/** Puts the numbers back; the value has just been made, and nobody else holds it. */
function restoreIntegers(value: JsonValue): JsonValue {
  if (typeof value === 'string') return value.startsWith(MARK) ? toInteger(value) : value;
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    const elements = value as JsonValue[];
    for (let at = 0; at < elements.length; at += 1) {
      const element = elements[at] as JsonValue; // within its length
      if (isChanged(element)) elements[at] = restoreIntegers(element);
    }
    return elements;
  }
  const members = value as Record<string, JsonValue>;
  // A member named `__proto__` is one of its own, and stays one.
  for (const name of Object.keys(members)) {
    const member = members[name] as JsonValue; // it is one of its names
    if (isChanged(member)) members[name] = restoreIntegers(member);
  }
  return value;
}

function isChanged(value: JsonValue): boolean {
  return typeof value === 'string'
    ? value.startsWith(MARK)
    : typeof value === 'object' && value !== null;
}

function toInteger(marked: string): number | bigint {
  const digits = marked.slice(MARK.length);
  const value = Number(digits);
  return Number.isSafeInteger(value) ? value : BigInt(digits);
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
