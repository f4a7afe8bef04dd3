import { AppError, isAppError } from '@tiercel/contracts';
import { isRedisUnavailable, type Logger } from '@tiercel/runtime';
import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import { createOwnPathTest } from '../proxy/own-paths.ts';
import type { Forward } from '../proxy/proxy.ts';
import { errorBody, sendEmpty, sendJson } from './answer.ts';
import { isOriginAllowed } from './origin-check.ts';
import { readBody, type RequestReader } from './read-body.ts';
import type { Route } from './route.ts';

export interface AppOptions {
  readonly maxBodyBytes: number;
  readonly corsOrigin: string | undefined;
  /** Asked for what no route is for; without it that is a 404. */
  readonly forward?: Forward;
}

/** The HTTP face: every route as `/x` and `/api/x`, ComfyUI's answers for what is not there. */
export function createApp(routes: readonly Route[], options: AppOptions, log: Logger): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', 'simple');
  app.use(checkOrigin(options.corsOrigin));
  registerRoutes(app, routes, options);
  if (options.forward !== undefined) app.use(forwardForeign(options.forward, routes));
  app.use((_req, res) => {
    res.setHeader('Content-Type', 'application/octet-stream');
    sendEmpty(res, 404);
  });
  app.use((error: unknown, req: Request, res: Response, _next: NextFunction) => {
    answerError(error, req, res, log);
  });
  return app;
}

function checkOrigin(corsOrigin: string | undefined) {
  return (req: Request, res: Response, next: NextFunction): void => {
    if (corsOrigin !== undefined) {
      res.setHeader('Access-Control-Allow-Origin', corsOrigin);
      res.setHeader('Access-Control-Allow-Methods', 'POST, GET, DELETE, PUT, OPTIONS, PATCH');
      res.setHeader('Access-Control-Allow-Headers', 'Content-Type, Authorization, Comfy-User');
      res.setHeader('Access-Control-Allow-Credentials', 'true');
    } else if (!isOriginAllowed(req.headers)) {
      sendEmpty(res, 403);
      return;
    }
    if (req.method === 'OPTIONS') sendEmpty(res, 200);
    else next();
  };
}

/** Other spellings of Tiercel's own paths, e.g. with a slash at the end, are not the pool's either. */
function forwardForeign(forward: Forward, routes: readonly Route[]) {
  const isOwnPath = createOwnPathTest(routes.flatMap(pathsOf));
  return async (req: Request, res: Response, next: NextFunction): Promise<void> => {
    const outcome = isOwnPath(req.originalUrl) ? 'absent' : await forward(req, res);
    switch (outcome) {
      case 'sent':
        return;
      case 'absent':
        next();
        return;
      case 'unreachable':
        sendEmpty(res, 502);
        return;
      case 'late':
        sendEmpty(res, 504);
        return;
    }
  };
}

function pathsOf(route: Route): string[] {
  switch (route.prefix ?? 'both') {
    case 'both':
      return [route.path, `/api${route.path}`];
    case 'api':
      return [`/api${route.path}`];
    case 'bare':
      return [route.path];
  }
}

type Handler = (req: Request, res: Response) => unknown;

/**
 * Paths without parameters are found in a table; only the others go through Express' patterns, which
 * are tried one after another.
 */
function registerRoutes(app: Express, routes: readonly Route[], options: AppOptions): void {
  const readText = readBody(options.maxBodyBytes);
  const byPath = new Map<string, Map<string, Handler>>();
  for (const route of routes) {
    const handle = handlerOf(route, readText);
    for (const path of pathsOf(route)) {
      const methods = byPath.get(path) ?? new Map<string, Handler>();
      byPath.set(path, methods.set(route.method, handle));
      if (route.method === 'GET') methods.set('HEAD', handle);
    }
  }
  const dispatch = (methods: ReadonlyMap<string, Handler>, req: Request, res: Response) => {
    const handle = methods.get(req.method);
    if (handle !== undefined) return handle(req, res);
    res.status(405).setHeader('Allow', [...methods.keys()].sort().join(','));
    res.type('text/plain').send('405: Method Not Allowed');
    return undefined;
  };
  app.use((req: Request, res: Response, next: NextFunction) => {
    const methods = byPath.get(req.path);
    if (methods === undefined) next();
    else return dispatch(methods, req, res);
    return undefined;
  });
  for (const [path, methods] of byPath) {
    if (path.includes(':') || path.includes('*')) {
      app.all(path, (req, res) => dispatch(methods, req, res));
    }
  }
}

function handlerOf(route: Route, readText: RequestReader): Handler {
  if (route.body !== 'text') return (req, res) => route.handle(req, res);
  return async (req, res) => {
    await readText(req);
    await route.handle(req, res);
  };
}

function answerError(error: unknown, req: Request, res: Response, log: Logger): void {
  if (res.headersSent) {
    res.destroy();
    return;
  }
  const known = translate(error);
  // What the caller is not told is here: stack, path, the system's error.
  if (known.code === 'internal' || known.code === 'storage_unavailable') {
    log.error({ err: error, method: req.method, path: req.path }, 'a request failed');
  }
  if (known.retryAfterSeconds !== undefined) res.setHeader('Retry-After', known.retryAfterSeconds);
  // The rest of a refused body is not read: the connection cannot be used again.
  if (known.code === 'body_too_large') res.setHeader('Connection', 'close');
  sendJson(res, errorBody(known.code, known.message), known.status);
}

function translate(error: unknown): AppError {
  if (isAppError(error)) return error;
  if (isRedisUnavailable(error)) {
    return new AppError('redis_unavailable', 'The queue cannot be reached now; try again.', {
      cause: error,
      retryAfterSeconds: 1,
    });
  }
  // Express' own refusals (a malformed %-escape in the path) carry a status below 500.
  if (error instanceof Error && 'status' in error && Number(error.status) < 500) {
    return new AppError('bad_request', 'The request cannot be read.', { cause: error });
  }
  return new AppError('internal', 'An internal error; the log has the details.', { cause: error });
}
