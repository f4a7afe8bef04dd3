import { isDeepStrictEqual } from 'node:util';
import { isJsonObject, type JsonValue } from '@tiercel/contracts';

/** One thing that is not as recorded. */
export interface Mismatch {
  /** The exchange or frame: `14-prompt-validation POST /prompt`, `12-ws-connect C executing`. */
  readonly place: string;
  /** Where inside it: `/json/error/type`. `/` is the whole of it, `/order` the order of its parts. */
  readonly path: string;
  /** undefined: was not there. */
  readonly recorded: JsonValue | undefined;
  /** undefined: is not there. */
  readonly actual: JsonValue | undefined;
}

/** Every member in which two values differ. A list with other members' order is one mismatch, not many. */
export function compareValues(
  place: string,
  recorded: JsonValue | undefined,
  actual: JsonValue | undefined,
  path = '',
): Mismatch[] {
  if (isDeepStrictEqual(recorded, actual)) return [];
  if (isJsonObject(recorded) && isJsonObject(actual)) {
    const names = new Set([...Object.keys(recorded), ...Object.keys(actual)]);
    return [...names].flatMap((name) =>
      compareValues(place, recorded[name], actual[name], `${path}/${name}`),
    );
  }
  if (Array.isArray(recorded) && Array.isArray(actual)) {
    if (recorded.length > 1 && haveSameMembers(recorded, actual)) {
      return [{ place, path: `${path}/order`, recorded, actual }];
    }
    const length = Math.max(recorded.length, actual.length);
    return Array.from({ length }).flatMap((_, index) =>
      compareValues(
        place,
        elementOf(recorded, index),
        elementOf(actual, index),
        `${path}/${index}`,
      ),
    );
  }
  return [{ place, path: path === '' ? '/' : path, recorded, actual }];
}

function elementOf(list: readonly JsonValue[], index: number): JsonValue | undefined {
  return list[index];
}

export function haveSameMembers(a: readonly JsonValue[], b: readonly JsonValue[]): boolean {
  const texts = (list: readonly JsonValue[]): string[] => list.map((item) => describe(item)).sort();
  return isDeepStrictEqual(texts(a), texts(b));
}

/** Text that is equal for equal values, whatever the order of their members. */
function describe(value: JsonValue): string {
  if (Array.isArray(value)) return `[${value.map((item: JsonValue) => describe(item)).join()}]`;
  if (!isJsonObject(value))
    return typeof value === 'bigint' ? String(value) : JSON.stringify(value);
  const members = Object.keys(value).sort();
  return `{${members.map((name) => `${name}:${describe(value[name] ?? null)}`).join()}}`;
}
