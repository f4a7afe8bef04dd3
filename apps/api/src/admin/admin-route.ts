import type { Actor } from '@tiercel/accounts';
import { AppError, type JsonObject } from '@tiercel/contracts';
import type { Request, Response } from 'express';
import { z } from 'zod';
import { sendEmpty, sendJson } from '../http/answer.ts';
import { readJsonBody, readParam, readQuery } from '../http/read-request.ts';
import type { Route } from '../http/route.ts';
import { callerOf } from '../identity/caller-of.ts';

/** Before every path of the admin API. */
export const ADMIN_PREFIX = '/admin/v1';

interface Call<Query, Body> {
  /** A parameter of the path, decoded. */
  readonly param: (name: string) => string;
  readonly query: Query;
  readonly body: Body;
  /** Who asks, for the audit. */
  readonly actor: Actor;
}

/** A route as it is described: what it takes and answers is said by schemas, which the OpenAPI document shows. */
interface Description<Query extends z.ZodObject, Body extends z.ZodType> {
  readonly method: Route['method'];
  /** Below the prefix, e.g. `/plans/:name`. */
  readonly path: string;
  readonly tag: string;
  readonly summary: string;
  readonly query?: Query;
  readonly body?: Body;
  /** Codes of the catalogue that it may answer with, besides those that every route may. */
  readonly errors?: readonly ('not_found' | 'key_unknown' | 'job_not_pending' | 'job_ambiguous')[];
}

export interface AdminRoute {
  readonly method: Route['method'];
  readonly path: string;
  readonly tag: string;
  readonly summary: string;
  readonly query: z.ZodObject | undefined;
  readonly body: z.ZodType | undefined;
  readonly errors: readonly ('not_found' | 'key_unknown' | 'job_not_pending' | 'job_ambiguous')[];
  /** undefined: nothing is answered (204). */
  readonly answer: z.ZodType | undefined;
  readonly status: 200 | 201 | 204;
  /** What is sent besides JSON. */
  readonly media: 'application/json' | 'application/x-ndjson' | 'text/csv';
  readonly respond: (req: Request, res: Response) => Promise<void>;
}

/** A route that answers with JSON. */
export function describeRoute<
  Answer extends z.ZodType,
  Query extends z.ZodObject = z.ZodObject,
  Body extends z.ZodType = z.ZodType,
>(
  description: Description<Query, Body> & {
    readonly answer: Answer;
    readonly status?: 200 | 201;
    handle(call: Call<z.infer<Query>, z.infer<Body>>): Promise<z.input<Answer>>;
  },
): AdminRoute {
  const { answer, status = 200 } = description;
  return {
    ...complete(description),
    ...{ answer, status, media: 'application/json' },
    respond: async (req, res) => {
      sendJson(res, await description.handle(readCall(req, res, description)), status);
    },
  };
}

/** A route that answers with nothing. */
export function describeSilentRoute<
  Query extends z.ZodObject = z.ZodObject,
  Body extends z.ZodType = z.ZodType,
>(
  description: Description<Query, Body> & {
    handle(call: Call<z.infer<Query>, z.infer<Body>>): Promise<void>;
  },
): AdminRoute {
  return {
    ...complete(description),
    ...{ answer: undefined, status: 204, media: 'application/json' },
    respond: async (req, res) => {
      await description.handle(readCall(req, res, description));
      sendEmpty(res, 204);
    },
  };
}

/** A route that answers with text of another kind, while it is made. */
export function describeTextRoute<Query extends z.ZodObject = z.ZodObject>(
  description: Description<Query, z.ZodType> & {
    readonly media: 'application/x-ndjson' | 'text/csv';
    readonly fileName: string;
    handle(call: Call<z.infer<Query>, unknown>): AsyncGenerator<string>;
  },
): AdminRoute {
  const { media, fileName } = description;
  return {
    ...complete(description),
    ...{ answer: z.string(), status: 200, media },
    respond: async (req, res) => {
      const parts = description.handle(readCall(req, res, description));
      res.setHeader('Content-Type', `${media}; charset=utf-8`);
      res.setHeader('Content-Disposition', `attachment; filename="${fileName}"`);
      for await (const part of parts) if (!res.destroyed) res.write(part);
      res.end();
    },
  };
}

function complete(description: Description<z.ZodObject, z.ZodType>) {
  const { method, path, tag, summary, query, body, errors = [] } = description;
  return { method, path, tag, summary, query, body, errors };
}

function readCall<Query extends z.ZodObject, Body extends z.ZodType>(
  req: Request,
  res: Response,
  { method, query, body }: Description<Query, Body>,
): Call<z.infer<Query>, z.infer<Body>> {
  const { keyId, tenant, address } = callerOf(res);
  return {
    param: (name) => readParam(req, name),
    // A schema that is not there has no values that anybody reads.
    query: check(query, Object.fromEntries(readQuery(req)), 'the query') as z.infer<Query>,
    body: (body === undefined
      ? undefined
      : check(body, readJsonBody(req, whenEmpty(method)), 'the body')) as z.infer<Body>,
    actor: { who: keyId ?? tenant, from: address },
  };
}

/** Of a PUT nothing: it replaces what is set, and a body that got lost would take it all back. */
export function whenEmpty(method: Route['method']): JsonObject | undefined {
  return method === 'PUT' ? undefined : {};
}

/** @throws AppError bad_request that names all that is wrong */
function check(schema: z.ZodType | undefined, value: unknown, where: string): unknown {
  const parsed = schema?.safeParse(value);
  if (parsed === undefined) return {};
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) =>
    path.length === 0 ? message : `${path.join('.')}: ${message}`,
  );
  throw new AppError('bad_request', `What ${where} says cannot be used. ${problems.join('; ')}.`);
}
