import type { AppError, PromptError } from '@tiercel/contracts';
import type { ServerResponse } from 'node:http';
import type { Writable } from 'node:stream';

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

/** Answers with a value that holds no bigints: what may hold some goes through stringifyJson and sendJsonText. */
export function sendJson(res: ServerResponse, value: unknown, status = 200): void {
  sendJsonText(res, JSON.stringify(value), status);
}

/** Answers with text, plain if no other type is said. */
export function sendText(
  res: ServerResponse,
  text: string,
  { status = 200, type = 'text/plain; charset=utf-8' }: { status?: number; type?: string } = {},
): void {
  res.statusCode = status;
  res.setHeader('Content-Type', type);
  res.setHeader('Content-Length', Buffer.byteLength(text));
  res.end(text);
}

/** Statuses that speak for themselves. Any other refusal has a body that says what to change. */
type EmptyStatus = 200 | 204 | 404;

/** A status with nothing else: no body, no content type, as ComfyUI answers many routes. */
export function sendEmpty(res: ServerResponse, status: EmptyStatus = 200): void {
  res.statusCode = status;
  // A 204 has no length (RFC 9110, 8.6).
  if (status !== 204) res.setHeader('Content-Length', 0);
  res.end();
}

/** The error shape of ComfyUI's POST /prompt, which Tiercel uses on every route. */
export function errorBody(
  type: string,
  message: string,
  details = '',
  extraInfo: PromptError['extra_info'] = {},
): {
  error: PromptError;
  node_errors: Record<string, never>;
} {
  return { error: { type, message, details, extra_info: extraInfo }, node_errors: {} };
}

/** An error of the catalogue as an answer. */
export function sendError(res: ServerResponse, error: AppError): void {
  if (error.retryAfterSeconds !== undefined) res.setHeader('Retry-After', error.retryAfterSeconds);
  // The rest of a refused body is not read: the connection cannot be used again.
  if (error.code === 'body_too_large') res.setHeader('Connection', 'close');
  // A message may quote the caller, whom no browser is to take at his word.
  res.setHeader('X-Content-Type-Options', 'nosniff');
  sendJson(res, errorBody(error.code, error.message, '', error.extraInfo), error.status);
}
