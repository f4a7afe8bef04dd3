import { isJsonObject, pythonFloat, type JsonValue } from '@tiercel/contracts';

/**
 * How Python prints and compares the JSON values that turn up in ComfyUI's error texts. One thing
 * cannot be told here: JSON's `1.0` arrives as the number 1 and prints as `1`.
 */

/** Deeper values print as `...`; Python's own JSON parser refuses nesting not much deeper. */
const MAX_DEPTH = 200;

/** Longer texts are cut: a caller's megabyte need not be answered with three. */
const MAX_SHOWN_CHARS = 10_000;

/** Python's `repr()`. */
export function pythonRepr(value: JsonValue): string {
  return reprAt(value, 0);
}

/** Python's `str()`: as `repr()`, but a string stays bare. */
export function pythonStr(value: JsonValue): string {
  return typeof value === 'string' ? value : reprAt(value, 0);
}

/** `pythonStr`, cut to a length that fits an error message. */
export function showValue(value: JsonValue): string {
  return clipText(pythonStr(value));
}

export function clipText(text: string): string {
  return text.length > MAX_SHOWN_CHARS ? `${text.slice(0, MAX_SHOWN_CHARS)}...` : text;
}

/** Python's `type(value).__name__`. */
export function pythonTypeName(value: JsonValue): string {
  if (value === null) return 'NoneType';
  switch (typeof value) {
    case 'string':
      return 'str';
    case 'boolean':
      return 'bool';
    case 'bigint':
      return 'int';
    case 'number':
      return Number.isSafeInteger(value) ? 'int' : 'float';
    default:
      return Array.isArray(value) ? 'list' : 'dict';
  }
}

/** Python's `==`: numbers and booleans compare by value, containers by content. */
export function pythonEquals(a: JsonValue, b: JsonValue): boolean {
  if (a === b) return true;
  const left = asNumber(a);
  const right = asNumber(b);
  // Loose equality is the one JavaScript operator that compares bigint and number exactly.
  if (left !== undefined && right !== undefined) return left == right;
  if (isList(a)) {
    if (!isList(b) || a.length !== b.length) return false;
    return a.every((item, index) => pythonEquals(item, b[index] ?? null));
  }
  if (!isJsonObject(a) || !isJsonObject(b)) return false;
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && pythonEquals(a[key] ?? null, b[key] ?? null))
  );
}

/** The number a JSON value is to Python's operators (`True` is 1), or undefined. */
export function asNumber(value: JsonValue): number | bigint | undefined {
  if (typeof value === 'boolean') return Number(value);
  return typeof value === 'number' || typeof value === 'bigint' ? value : undefined;
}

/** `Array.isArray` forgets that JSON lists are readonly. */
export function isList(value: JsonValue | undefined): value is readonly JsonValue[] {
  return Array.isArray(value);
}

/**
 * A value as it may be sent back to the caller: what JSON cannot carry (infinities) or what would
 * overflow a recursive JSON writer (extreme nesting) goes as text.
 */
export function echoValue(value: JsonValue): JsonValue {
  if (typeof value === 'number' && !Number.isFinite(value)) return pythonFloat(value);
  return isDeeperThan(value, MAX_DEPTH) ? showValue(value) : value;
}

function isDeeperThan(value: JsonValue, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
  return Object.values(value).some((item: JsonValue) => isDeeperThan(item, levels - 1));
}

function reprAt(value: JsonValue, depth: number): string {
  if (value === null) return 'None';
  switch (typeof value) {
    case 'string':
      return reprString(value);
    case 'boolean':
      return value ? 'True' : 'False';
    case 'bigint':
      return String(value);
    case 'number':
      return Number.isSafeInteger(value) ? String(value) : pythonFloat(value);
    default:
  }
  if (depth >= MAX_DEPTH) return '...';
  if (isList(value)) return `[${value.map((item) => reprAt(item, depth + 1)).join(', ')}]`;
  const members = Object.entries(value).map(
    ([key, item]) => `${reprString(key)}: ${reprAt(item, depth + 1)}`,
  );
  return `{${members.join(', ')}}`;
}

const NAMED_ESCAPES: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

function reprString(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const body = text.replace(/[\\'\p{C}\p{Z}]/gu, (char) => {
    if (char === ' ') return char;
    if (char === '\\') return '\\\\';
    if (char === "'") return quote === "'" ? "\\'" : char;
    return NAMED_ESCAPES[char] ?? escapeCodePoint(char.codePointAt(0) ?? 0);
  });
  return quote + body + quote;
}

function escapeCodePoint(code: number): string {
  if (code < 0x100) return `\\x${code.toString(16).padStart(2, '0')}`;
  if (code < 0x1_0000) return `\\u${code.toString(16).padStart(4, '0')}`;
  return `\\U${code.toString(16).padStart(8, '0')}`;
}
