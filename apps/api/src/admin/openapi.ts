import { ERRORS } from '@tiercel/contracts';
import { z } from 'zod';
import { ADMIN_PREFIX, whenEmpty, type AdminRoute } from './admin-route.ts';

const errorSchema = z.object({
  error: z.object({
    type: z.string().describe('A code of docs/errors.md'),
    message: z.string().describe('For a person'),
    details: z.string(),
    extra_info: z.record(z.string(), z.unknown()),
  }),
  node_errors: z.record(z.string(), z.unknown()),
});

/** What every route may answer with besides its own. */
const COMMON = ['bad_request', 'unauthorized', 'forbidden', 'redis_unavailable'] as const;

/** The OpenAPI 3.1 document of the admin API, made of the very table that serves it. */
export function createOpenApi(routes: readonly AdminRoute[], version: string): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const route of routes) {
    const path = `${ADMIN_PREFIX}${route.path}`.replaceAll(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: describeOperation(route) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Tiercel admin API',
      version,
      description:
        'Plans, tenants, keys, tiers, pools, the queue, usage and the audit, while everything runs. For callers with the role admin; with auth.mode open, for callers on the machine itself.',
    },
    security: [{ bearer: [] }, { apiKey: [] }],
    paths,
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer' },
        apiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key' },
      },
      schemas: { Error: toJsonSchema(errorSchema, 'output') },
    },
  };
}

function describeOperation(route: AdminRoute): object {
  const { method, path, tag, summary, query, body, answer, status, media, hasCsv } = route;
  const inPath = [...path.matchAll(/:(\w+)/g)].map(([, name]) => ({
    ...{ name, in: 'path', required: true, schema: { type: 'string' } },
  }));
  const inQuery = Object.entries(query?.shape ?? {}).map(([name, schema]) => ({
    ...{ name, in: 'query', required: false },
    schema: toJsonSchema(schema as z.ZodType, 'input'), // the values of a shape are schemas
  }));
  return {
    operationId: `${method.toLowerCase()}${path.replaceAll(/[^\w]+(\w)?/g, (_, letter: string | undefined) => (letter ?? '').toUpperCase())}`,
    ...{ tags: [tag], summary, parameters: [...inPath, ...inQuery] },
    ...(body === undefined
      ? {}
      : {
          requestBody: {
            required: !body.safeParse(whenEmpty(method)).success,
            content: { 'application/json': { schema: toJsonSchema(body, 'input') } },
          },
        }),
    responses: {
      [status]: {
        description: summary,
        ...(answer === undefined
          ? {}
          : {
              content: {
                [media]: { schema: toJsonSchema(answer, 'output') },
                ...(hasCsv ? { 'text/csv': { schema: { type: 'string' } } } : {}),
              },
            }),
      },
      ...describeErrors(route),
    },
  };
}

function describeErrors({ errors }: AdminRoute): object {
  const byStatus = new Map<number, string[]>();
  for (const code of [...COMMON, ...errors]) {
    const { status, summary } = ERRORS[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), `${code}: ${summary}`]);
  }
  return Object.fromEntries(
    [...byStatus].map(([status, words]) => [
      status,
      {
        description: words.join(' '),
        content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
      },
    ]),
  );
}

function toJsonSchema(schema: z.ZodType, io: 'input' | 'output'): object {
  // The document says which dialect it has.
  return { ...z.toJSONSchema(schema, { io, unrepresentable: 'any' }), $schema: undefined };
}
