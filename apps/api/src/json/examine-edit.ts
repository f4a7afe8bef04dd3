import { AppError, isJsonObject, type JsonObject, type JsonValue } from '@tiercel/contracts';
import { decodeBody, parseBody } from './parse-body.ts';

/** What POST /queue and POST /history ask for. */
export interface ExaminedEdit {
  readonly clear: boolean;
  /** Lists of ids as JSON, some hundreds in each: a list of a million strings takes long to pass on. */
  readonly deleteTexts: readonly string[];
}

const IDS_PER_TEXT = 500;

/** @throws AppError bad_json, bad_request, body_too_large */
export function examineEdit(bytes: Uint8Array, maxValues: number): ExaminedEdit {
  const body = parseBody(decodeBody(bytes), maxValues);
  if (!isJsonObject(body)) throw new AppError('bad_request', 'The body must be a JSON object.');
  const ids = readIds(body, 'delete');
  const deleteTexts: string[] = [];
  for (let at = 0; at < ids.length; at += IDS_PER_TEXT) {
    deleteTexts.push(JSON.stringify(ids.slice(at, at + IDS_PER_TEXT)));
  }
  return { clear: isSet(body.clear), deleteTexts };
}

/** As Python's truth, but for empty containers. */
export function isSet(value: JsonValue | undefined): boolean {
  return value !== undefined && value !== null && value !== false && value !== 0 && value !== '';
}

function readIds(body: JsonObject, name: string): string[] {
  const given = body[name];
  if (given === undefined || given === null) return [];
  if (!Array.isArray(given)) throw new AppError('bad_request', `${name} must be a list of ids.`);
  return given.map(String);
}
