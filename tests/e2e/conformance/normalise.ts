import { isJsonObject, parseJson, stringifyJson, type JsonValue } from '@tiercel/contracts';

/**
 * Replaces what differs between any two runs of ComfyUI itself by what is common to them: times, the
 * random part of temporary names and of socket ids, tracebacks, validators of files.
 * @param name the member or header that holds the value
 */
export function normalise(value: JsonValue, name = ''): JsonValue {
  if (typeof value === 'bigint') return Number(value); // the recorder rounded, as every browser does
  if (typeof value === 'number') return normaliseNumber(value, name);
  if (typeof value === 'string') return normaliseText(value, name);
  if (value === null || typeof value === 'boolean') return value;
  if (!isJsonObject(value)) {
    if (name === 'traceback' && value.length > 0) return ['<traceback>'];
    return value.map((item) => normalise(item));
  }
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [key, normalise(member, key)]),
  );
}

const TIMES = new Set(['timestamp', 'modified', 'created']);
/** A time of this century in seconds is below, in milliseconds above. */
const SECONDS_END = 1e11;

function normaliseNumber(value: number, name: string): JsonValue {
  if (!TIMES.has(name)) return value;
  return value < SECONDS_END ? '<seconds>' : '<milliseconds>';
}

const FORMATS: Readonly<Record<string, RegExp>> = {
  sid: /^[0-9a-f]{32}$/,
  etag: /^"[0-9a-f]+-[0-9a-f]+"$/,
  'last-modified': /^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/,
};

function normaliseText(text: string, name: string): string {
  return FORMATS[name]?.test(text) === true ? `<${name}>` : text;
}

/**
 * Numbers the temporary files of one run in the order in which they are first named: both the letters
 * and the counter that goes with them are new in every run.
 */
export function renameTempFiles<T extends JsonValue>(value: T, known: Map<string, string>): T {
  const text = stringifyJson(value).replace(/ComfyUI_temp_[a-z]{5}_\d{5}_/g, (name) => {
    const renamed = known.get(name) ?? `<temporary ${known.size + 1}>`;
    known.set(name, renamed);
    return renamed;
  });
  return parseJson(text) as T; // only strings changed
}

/** Routes whose answer describes the machine: only its shape can be compared. */
const MACHINE_ROUTES = [
  '/system_stats',
  '/internal/logs',
  '/experiment/models',
  '/models/checkpoints',
];

export function isMachineRoute(path: string): boolean {
  return MACHINE_ROUTES.includes(path);
}

/** The types in place of the values; a list of objects is as its first one, other lists are just lists. */
export function shapeOf(value: JsonValue): JsonValue {
  if (value === null) return '<null>';
  if (typeof value !== 'object') return `<${typeof value}>`;
  if (!isJsonObject(value)) return isJsonObject(value[0]) ? [shapeOf(value[0])] : '<list>';
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, shapeOf(member)]));
}
