import { AppError, parseJson, type JsonValue, type PromptError } from '@tiercel/contracts';
import type { ServerResponse } from 'node:http';
import type { Writable } from 'node:stream';
import type { Request } from 'express';

const JSON_TYPE = 'application/json; charset=utf-8';

/** Answers with JSON text as it is: prompts are passed through without re-encoding. */
export function sendJsonText(res: ServerResponse, text: string | Buffer, status = 200): void {
  res.statusCode = status;
  res.setHeader('Content-Type', JSON_TYPE);
  res.setHeader('Content-Length', Buffer.byteLength(text));
  res.end(text);
}

/** Answers up to this length leave in one piece, with their length told. */
const WHOLE_CHARACTERS = 256 * 1024;

/**
 * Answers with JSON text that is made while it is sent: a long list never is in memory as a whole, and a
 * caller that reads slowly is waited for. An error after the beginning breaks the connection off.
 */
export async function streamJsonText(
  res: ServerResponse,
  parts: AsyncIterable<string>,
): Promise<void> {
  let head = '';
  for await (const part of parts) {
    if (!res.headersSent) {
      head += part;
      if (head.length <= WHOLE_CHARACTERS) continue;
      res.setHeader('Content-Type', JSON_TYPE);
    }
    for (const piece of inPieces(res.headersSent ? part : head)) {
      if (!res.write(piece)) await drained(res);
      if (res.destroyed) return;
    }
  }
  if (res.headersSent) res.end();
  else sendJsonText(res, head);
}

/** A text of a hundred megabytes is turned into bytes a little at a time. */
function* inPieces(text: string): Generator<string> {
  for (let from = 0; from < text.length;) {
    let to = Math.min(from + WHOLE_CHARACTERS, text.length);
    // Not between the two halves of a character.
    if (to < text.length && isHighSurrogate(text.charCodeAt(to - 1))) to += 1;
    yield text.slice(from, to);
    from = to;
  }
}

function isHighSurrogate(code: number): boolean {
  return code >= 0xd800 && code <= 0xdbff;
}

/** Resolves when what was written has left, or when the caller has. */
export function drained(stream: Writable): Promise<void> {
  if (!stream.writableNeedDrain || stream.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      stream.off('drain', done);
      stream.off('close', done);
      resolve();
    };
    stream.once('drain', done);
    stream.once('close', done);
  });
}

export function sendJson(res: ServerResponse, value: unknown, status = 200): void {
  sendJsonText(res, JSON.stringify(value), status);
}

/** Statuses that speak for themselves. Any other refusal has a body that says what to change. */
type EmptyStatus = 200 | 204 | 404;

/** A status with nothing else: no body, no content type, as ComfyUI answers many routes. */
export function sendEmpty(res: ServerResponse, status: EmptyStatus = 200): void {
  res.statusCode = status;
  res.setHeader('Content-Length', 0);
  res.end();
}

/** The error shape of ComfyUI's POST /prompt, which Tiercel uses on every route. */
export function errorBody(
  type: string,
  message: string,
  details = '',
): {
  error: PromptError;
  node_errors: Record<string, never>;
} {
  return { error: { type, message, details, extra_info: {} }, node_errors: {} };
}

/** An error of the catalogue as an answer. */
export function sendError(res: ServerResponse, error: AppError): void {
  if (error.retryAfterSeconds !== undefined) res.setHeader('Retry-After', error.retryAfterSeconds);
  // The rest of a refused body is not read: the connection cannot be used again.
  if (error.code === 'body_too_large') res.setHeader('Connection', 'close');
  // A message may quote the caller, whom no browser is to take at his word.
  res.setHeader('X-Content-Type-Options', 'nosniff');
  sendJson(res, errorBody(error.code, error.message), error.status);
}

/**
 * The request body as JSON, whatever its content type says.
 * @param whenEmpty what an empty body stands for; without it an empty body is an error
 * @throws AppError bad_json
 */
export function readJsonBody(req: Request, whenEmpty?: JsonValue): JsonValue {
  const text = readTextBody(req);
  if (text === '' && whenEmpty !== undefined) return whenEmpty;
  try {
    return parseJson(text);
  } catch (cause) {
    throw new AppError('bad_json', `The body is not valid JSON: ${describe(cause)}`, { cause });
  }
}

/** The body that the route table read (`body: 'text'`). */
export function readTextBody(req: Request): string {
  return typeof req.body === 'string' ? req.body : '';
}

function describe(cause: unknown): string {
  return cause instanceof Error ? cause.message : 'unreadable';
}

/**
 * A whole number from the query string.
 * @throws AppError bad_request naming the parameter
 */
export function readIntegerQuery(req: Request, name: string): number | undefined {
  const value = readQuery(req, name);
  if (value === undefined) return undefined;
  if (!/^\s*[+-]?\d+\s*$/.test(value)) {
    throw new AppError('bad_request', `The query parameter ${name} must be a whole number.`);
  }
  return clampInteger(Number(value));
}

/** Redis takes whole numbers of 64 bits; nothing here is anywhere near this many. */
const LARGEST = 1e12;

export function clampInteger(value: number): number {
  return Math.max(-LARGEST, Math.min(LARGEST, value));
}

export function readQuery(req: Request, name: string): string | undefined {
  const value = req.query[name];
  if (Array.isArray(value)) return typeof value[0] === 'string' ? value[0] : undefined;
  return typeof value === 'string' ? value : undefined;
}

/** A path parameter, decoded. */
export function readParam(req: Request, name: string): string {
  const value = req.params[name];
  return typeof value === 'string' ? value : '';
}
