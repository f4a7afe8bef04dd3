import { isJsonObject, type JsonObject, type JsonValue } from '@tiercel/contracts';

/** What an answer says of an error, whoever's words it is in. */
export interface ErrorBody {
  /** Names for what happened, as they stand beside the message: `model_not_found`, `6003`, `OutOfMemoryError`. */
  readonly codes: readonly string[];
  /** Fields of the request that it complains of: `prompt`, `init_images`. */
  readonly fields: readonly string[];
  /** Its sentences for people, the outermost first. */
  readonly texts: readonly string[];
  /** The HTTP status that it gives itself: some answer 200 and tell of 429 inside. */
  readonly status: number | undefined;
}

interface Findings {
  readonly codes: string[];
  readonly fields: string[];
  readonly texts: string[];
  status: number | undefined;
}

/** An envelope in an envelope in an envelope: gateways wrap what others wrapped. */
const MAX_DEPTH = 4;
/** Members that hold the error, or more of it. */
const INNER = ['error', 'errors', 'details', 'detail', 'issues', 'error_chain', 'innererror'];
const SENTENCES = ['message', 'msg', 'reason'];
/** FastAPI says first where in the request a field stands. */
const PLACES: ReadonlySet<JsonValue> = new Set(['body', 'query', 'path', 'header', 'form']);

/**
 * Reads the error forms that image services have: OpenAI's `{error: {message, type, param, code}}`, Cloudflare's
 * `{errors: [{code, message}]}`, FastAPI's `{detail}`, zod's `{fieldErrors}` and issues with a `path`, `{error: text}`,
 * and each of them inside another, as an object or as the text of a message.
 * @returns undefined when nothing in it speaks of an error
 */
export function readErrorBody(json: JsonValue | undefined): ErrorBody | undefined {
  if (json === undefined || !isJsonObject(json)) return undefined;
  const isError =
    [...INNER, 'message'].some((member) => isMeaningful(json[member])) || json.success === false;
  if (!isError) return undefined;
  const found: Findings = { codes: [], fields: [], texts: [], status: undefined };
  readObject(json, found, 0);
  const { codes, fields, texts, status } = found;
  return { codes: distinct(codes), fields: distinct(fields), texts: distinct(texts), status };
}

function isMeaningful(value: JsonValue | undefined): boolean {
  if (value === undefined || value === null || value === '' || value === false) return false;
  return !Array.isArray(value) || value.length > 0;
}

function distinct(items: readonly string[]): string[] {
  return [...new Set(items)];
}

function readObject(object: JsonObject, found: Findings, depth: number): void {
  if (depth > MAX_DEPTH) return;
  const { code, type, param, status, loc, path, fieldErrors } = object;
  for (const name of [code, type]) {
    if (typeof name === 'string' || typeof name === 'number') found.codes.push(String(name));
  }
  for (const number of [status, code]) if (isErrorStatus(number)) found.status ??= Number(number);
  if (typeof param === 'string') addField(param, found);
  for (const place of [loc, path]) if (isList(place)) addField(firstName(place), found);
  if (isJsonObject(fieldErrors)) {
    for (const name of Object.keys(fieldErrors)) addField(name, found);
    for (const texts of Object.values(fieldErrors)) readValue(texts, found, depth);
  }
  for (const member of SENTENCES) readValue(object[member], found, depth);
  for (const member of INNER) {
    const value = object[member];
    // `{error: 'OutOfMemoryError', errors: 'CUDA out of memory'}`: a name where others have a sentence.
    if (member === 'error' && typeof value === 'string') found.codes.push(value);
    readValue(value, found, depth);
  }
}

function readValue(value: JsonValue | undefined, found: Findings, depth: number): void {
  if (typeof value === 'string') {
    const inner = readInnerJson(value);
    if (inner !== undefined) readObject(inner, found, depth + 1);
    else if (value !== '') found.texts.push(value);
  } else if (isJsonObject(value)) {
    readObject(value, found, depth + 1);
  } else if (isList(value)) {
    for (const item of value) readValue(item, found, depth + 1);
  }
}

function isErrorStatus(value: JsonValue | undefined): boolean {
  const isNumeric = typeof value === 'number' || (typeof value === 'string' && value !== '');
  return isNumeric && Number(value) >= 400 && Number(value) < 600;
}

function isList(value: JsonValue | undefined): value is readonly JsonValue[] {
  return Array.isArray(value);
}

function addField(name: string | undefined, { fields }: Findings): void {
  // `image[]`, `init_images.0` and `messages/0/content` are about one field of the request.
  const field = /^\/?([^[\]./]+)/.exec(name ?? '')?.[1];
  if (field !== undefined) fields.push(field);
}

function firstName(place: readonly JsonValue[]): string | undefined {
  const [first, second] = place;
  const name = PLACES.has(first ?? null) ? second : first;
  return typeof name === 'string' ? name : undefined;
}

/** A message may hold the answer of whoever was asked behind the service. */
function readInnerJson(text: string): JsonObject | undefined {
  if (!text.startsWith('{')) return undefined;
  try {
    const value = JSON.parse(text) as JsonValue; // what JSON.parse returns
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
