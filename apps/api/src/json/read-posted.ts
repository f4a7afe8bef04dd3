import {
  AppError,
  isAppError,
  isJsonObject,
  joinMembers,
  sliceMembers,
  stringifyJson,
  type JsonValue,
} from '@tiercel/contracts';
import { isSavedWorkflow } from '@tiercel/graph';
import { readEmbeddedTexts, sniffMedia, type EmbeddedTexts } from '@tiercel/pictures';
import { readFormParts, type FormPart } from './form-parts.ts';
import { decodeBody, parseBody } from './parse-body.ts';

/** What is posted in place of a prompt as JSON: a file that has one in its metadata, or a form with either. */

export interface Posted {
  readonly bytes: Uint8Array;
  readonly contentType: string | undefined;
}

/** Members of a body of POST /prompt that a form may have as fields of its own. */
const TEXT_FIELDS = ['client_id', 'prompt_id'];
const JSON_FIELDS = ['number', 'front', 'partial_execution_targets'];

/** Whether it takes work to make JSON of it, which is not for the event loop. */
export function isFile({ bytes, contentType }: Posted): boolean {
  return sniffMedia(bytes) !== undefined || isForm(bytes, contentType);
}

/** Clients send JSON under any content type: a form has the boundary before its parts, too. */
function isForm(bytes: Uint8Array, contentType: string | undefined): boolean {
  const isDeclared = /^\s*multipart\/form-data\s*;/i.test(contentType ?? '');
  // Line ends may come before the first boundary.
  return isDeclared && /^\s*--/.test(Buffer.from(bytes.subarray(0, 64)).toString('latin1'));
}

/**
 * The body as the text of a POST /prompt in JSON.
 * @throws AppError bad_json, bad_request
 */
export function readPostedText({ bytes, contentType }: Posted, maxValues: number): string {
  const file = readEmbeddedTexts(bytes);
  if (file !== undefined) return joinMembers(readFileMembers(file, maxValues));
  return isForm(bytes, contentType)
    ? readForm(bytes, contentType ?? '', maxValues)
    : decodeBody(bytes);
}

/**
 * The prompt of a file, which is what has run; of one without the workflow it holds.
 * @throws AppError bad_request
 */
function readFileMembers({ format, texts }: EmbeddedTexts, maxValues: number): Map<string, string> {
  const parse = (text: string) => tryParse(text, maxValues);
  const prompt = findJson(texts, { name: 'prompt', isWanted: isPrompt, parse });
  const workflow = findJson(texts, { name: 'workflow', isWanted: isSavedWorkflow, parse });
  const found = prompt ?? workflow;
  if (found === undefined) {
    throw new AppError(
      'bad_request',
      `The ${format} file has neither a prompt nor a workflow in its metadata.`,
    );
  }
  const members = new Map([['prompt', found]]);
  if (workflow !== undefined && prompt !== undefined) {
    members.set('extra_data', `{"extra_pnginfo":{"workflow":${workflow}}}`);
  }
  return members;
}

interface WantedText {
  readonly name: string;
  readonly isWanted: (value: JsonValue) => boolean;
  readonly parse: (text: string) => JsonValue;
}

/** Text of this name, or within a comment, as VideoHelperSuite writes it. */
function findJson(
  texts: ReadonlyMap<string, string>,
  { name, isWanted, parse }: WantedText,
): string | undefined {
  const text = texts.get(name);
  if (text !== undefined && isWanted(parse(text))) return text;
  const comment = parse(texts.get('comment') ?? 'null');
  const inner = isJsonObject(comment) ? comment[name] : undefined;
  if (inner === undefined) return undefined;
  const innerText = typeof inner === 'string' ? inner : stringifyJson(inner);
  return isWanted(parse(innerText)) ? innerText : undefined;
}

/**
 * Null for what is not JSON: Python's may have NaN in it, and files hold what they like.
 * @throws AppError body_too_large
 */
function tryParse(text: string, maxValues: number): JsonValue {
  try {
    return parseBody(text, maxValues);
  } catch (error) {
    if (isAppError(error) && error.code === 'body_too_large') throw error;
    return null;
  }
}

function isPrompt(value: JsonValue): boolean {
  return (
    isJsonObject(value) &&
    Object.values(value).some((node) => isJsonObject(node) && Object.hasOwn(node, 'class_type'))
  );
}

/**
 * A form with one file, or one field `prompt` or `workflow` with JSON; other fields are those of a POST /prompt.
 * @throws AppError bad_json, bad_request
 */
function readForm(bytes: Uint8Array, contentType: string, maxValues: number): string {
  const body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const parts = readFormParts(body, contentType);
  if (parts === undefined) {
    throw new AppError('bad_request', 'The body is not a whole multipart form.');
  }
  const main = parts.find(({ isFile }) => isFile) ?? parts.find(({ name }) => isPromptField(name));
  if (main === undefined) {
    throw new AppError('bad_request', 'The form has no file, and no field prompt or workflow.');
  }
  const file = readEmbeddedTexts(main.data);
  const members =
    file === undefined
      ? new Map([['prompt', readJsonField(main, maxValues)]])
      : readFileMembers(file, maxValues);
  for (const part of parts) {
    const { name } = part;
    if (TEXT_FIELDS.includes(name)) members.set(name, JSON.stringify(decodeBody(part.data)));
    else if (name === 'extra_data') addExtra(members, readJsonField(part, maxValues));
    else if (JSON_FIELDS.includes(name)) members.set(name, readJsonField(part, maxValues));
  }
  return joinMembers(members);
}

/** The form's own, and what the file brings that it does not say. */
function addExtra(members: Map<string, string>, given: string): void {
  const fromFile = sliceMembers(members.get('extra_data') ?? '{}');
  const isObject = given.trimStart().startsWith('{');
  members.set(
    'extra_data',
    isObject ? joinMembers(new Map([...fromFile, ...sliceMembers(given)])) : given,
  );
}

function isPromptField(name: string): boolean {
  return name === 'prompt' || name === 'workflow';
}

/** @throws AppError bad_json, body_too_large */
function readJsonField({ name, data }: FormPart, maxValues: number): string {
  try {
    const text = decodeBody(data);
    parseBody(text, maxValues);
    return text;
  } catch (cause) {
    if (isAppError(cause) && cause.code === 'body_too_large') throw cause;
    throw new AppError(
      'bad_json',
      `The part ${name} of the form is not JSON, nor a picture or video that is read.`,
      { cause },
    );
  }
}
