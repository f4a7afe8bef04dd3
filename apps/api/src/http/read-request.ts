import { AppError, type JsonValue } from '@tiercel/contracts';
import type { Request } from 'express';
import type { z } from 'zod';
import { parseBody } from '../json/parse-body.ts';

/** What a request says in its path, its query, and a short body; large bodies are read-body.ts's. */

/**
 * The query as aiohttp reads it: the first of repeated values counts, brackets mean nothing (the
 * parser of Express would make objects of them).
 */
export function readQuery(req: Request): URLSearchParams {
  const at = req.originalUrl.indexOf('?');
  return new URLSearchParams(at < 0 ? '' : req.originalUrl.slice(at + 1));
}

/**
 * A whole number from the query string.
 * @throws AppError bad_request naming the parameter
 */
export function readIntegerQuery(req: Request, name: string): number | undefined {
  const text = readQuery(req).get(name);
  if (text === null) return undefined;
  const value = parseInteger(text);
  if (value !== undefined) return value;
  throw new AppError('bad_request', `The query parameter ${name} must be a whole number.`);
}

/** Redis takes whole numbers of 64 bits; nothing here is anywhere near this many. */
const LARGEST = 1e12;

/** A whole number, of any size brought down to one that Redis takes; undefined when the text is none. */
export function parseInteger(text: string): number | undefined {
  if (!/^\s*[+-]?\d+\s*$/.test(text)) return undefined;
  return Math.max(-LARGEST, Math.min(LARGEST, Number(text)));
}

/** A path parameter, decoded. */
export function readParam(req: Request, name: string): string {
  const value = req.params[name];
  return typeof value === 'string' ? value : '';
}

/** The body that the route table read (`body: 'text'`). */
export function readTextBody(req: Request): string {
  return typeof req.body === 'string' ? req.body : '';
}

/**
 * A value by a schema.
 * @param where `the query`
 * @throws AppError bad_request that names all that is wrong
 */
export function checkValues<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  where: string,
): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) =>
    path.length === 0 ? message : `${path.join('.')}: ${message}`,
  );
  throw new AppError('bad_request', `What ${where} says cannot be used. ${problems.join('; ')}.`);
}

/**
 * The request body as JSON, whatever its content type says.
 * @param whenEmpty what an empty body stands for; without it an empty body is an error
 * @throws AppError bad_json
 */
export function readJsonBody(req: Request, whenEmpty?: JsonValue): JsonValue {
  const text = readTextBody(req);
  return text === '' && whenEmpty !== undefined ? whenEmpty : parseBody(text);
}
