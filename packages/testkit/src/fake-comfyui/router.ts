import type { Answer } from './answer.ts';
import { empty, notFound, text } from './answer.ts';

/** A request as handlers see it: whole, and without the `/api` that every route also has. */
export interface FakeRequest {
  readonly method: string;
  /** Still encoded. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

/** @param match the groups of the route's pattern, decoded */
export type Handler = (request: FakeRequest, match: readonly string[]) => Answer | Promise<Answer>;

export interface Route {
  readonly method: 'GET' | 'POST';
  readonly pattern: RegExp;
  readonly handle: Handler;
}

export function route(method: Route['method'], pattern: RegExp, handle: Handler): Route {
  return { method, pattern, handle };
}

/** Finds the handler; 404, 405 and OPTIONS are as aiohttp answers them (wire 1.4). */
export async function dispatch(routes: readonly Route[], request: FakeRequest): Promise<Answer> {
  if (request.method === 'OPTIONS') return empty();
  const fitting = routes.filter(({ pattern }) => pattern.test(request.path));
  if (fitting.length === 0) return notFound();
  const method = request.method === 'HEAD' ? 'GET' : request.method;
  const found = fitting.find((candidate) => candidate.method === method);
  if (found === undefined) {
    const allowed = fitting.flatMap((candidate) =>
      candidate.method === 'GET' ? ['GET', 'HEAD'] : [candidate.method],
    );
    const answer = text(405, '405: Method Not Allowed');
    const allow = [...new Set(allowed)].sort().join(',');
    return { ...answer, headers: { ...answer.headers, allow } };
  }
  const match = found.pattern.exec(request.path)?.slice(1) ?? [];
  return await found.handle(request, match.map(decodeURIComponent));
}
