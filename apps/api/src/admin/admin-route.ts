import type { Actor } from '@tiercel/accounts';
import type { JsonObject } from '@tiercel/contracts';
import type { Request, Response } from 'express';
import { z } from 'zod';
import { sendEmpty, sendJson } from '../http/answer.ts';
import { checkValues, readJsonBody, readParam, readQuery } from '../http/read-request.ts';
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
  readonly media: 'application/json' | 'application/x-ndjson';
  /** Whether it is also had as a table of text/csv. */
  readonly hasCsv: boolean;
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
    readonly media: 'application/x-ndjson';
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
      await sendText(res, { media, fileName, parts });
    },
  };
}

const formatQuery = {
  format: z
    .enum(['json', 'csv'])
    .optional()
    .describe('Without it as the header Accept says, JSON before CSV'),
};

/** A route that answers with JSON, or with a table to who asks for CSV: `format=csv`, or `Accept: text/csv`. */
export function describeTableRoute<Answer extends z.ZodType, Query extends z.ZodObject>(
  description: Description<Query, z.ZodType> & {
    readonly query: Query;
    readonly answer: Answer;
    handle(call: Call<z.infer<Query>, unknown>): Promise<z.input<Answer>>;
    readonly csv: {
      readonly fileName: string;
      handle(call: Call<z.infer<Query>, unknown>): AsyncGenerator<string>;
    };
  },
): AdminRoute {
  const { answer, csv, query } = description;
  const told = { ...description, query: query.extend(formatQuery) };
  return {
    ...complete(told),
    ...{ answer, status: 200, media: 'application/json', hasCsv: true },
    respond: async (req, res) => {
      // As the schema of the route says, with a format.
      const call = readCall(req, res, told) as Call<z.infer<Query>, unknown>;
      const accepted =
        req.accepts(['application/json', 'text/csv']) === 'text/csv' ? 'csv' : 'json';
      if ((readQuery(req).get('format') ?? accepted) === 'csv') {
        const { fileName } = csv;
        await sendText(res, { media: 'text/csv', fileName, parts: csv.handle(call) });
      } else sendJson(res, await description.handle(call));
    },
  };
}

/** The first part is waited for before anything is sent: what is wrong with the question is told as an error. */
async function sendText(
  res: Response,
  text: {
    readonly media: string;
    readonly fileName: string;
    readonly parts: AsyncGenerator<string>;
  },
): Promise<void> {
  const { media, fileName, parts } = text;
  let part = await parts.next();
  res.setHeader('Content-Type', `${media}; charset=utf-8`);
  res.setHeader('Content-Disposition', `attachment; filename="${fileName}"`);
  for (; part.done !== true; part = await parts.next()) if (!res.destroyed) res.write(part.value);
  res.end();
}

function complete(description: Description<z.ZodObject, z.ZodType>) {
  const { method, path, tag, summary, query, body, errors = [] } = description;
  return { method, path, tag, summary, query, body, errors, hasCsv: false };
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
    query: (query === undefined
      ? {}
      : checkValues(query, Object.fromEntries(readQuery(req)), 'the query')) as z.infer<Query>,
    body: (body === undefined
      ? undefined
      : checkValues(body, readJsonBody(req, whenEmpty(method)), 'the body')) as z.infer<Body>,
    actor: { who: keyId ?? tenant, from: address },
  };
}

/** Of a PUT nothing: it replaces what is set, and a body that got lost would take it all back. */
export function whenEmpty(method: Route['method']): JsonObject | undefined {
  return method === 'PUT' ? undefined : {};
}
