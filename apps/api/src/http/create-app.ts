import { AppError, isAppError } from '@tiercel/contracts';
import { isRedisUnavailable, type Logger } from '@tiercel/runtime';
import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import type { Gate } from '../identity/gate.ts';
import { createOwnPathTest } from '../proxy/proxy-rules.ts';
import type { Forward } from '../proxy/proxy.ts';
import { sendEmpty, sendError, sendText } from './answer.ts';
import type { CallerCheck } from './caller-check.ts';
import { readBody, type RequestReader } from './read-body.ts';
import type { Route } from './route.ts';

export interface AppOptions {
  readonly maxBodyBytes: number;
  readonly checkCaller: CallerCheck;
  /** Told of each request when its answer is sent, or cut. */
  readonly countRequest?: (method: string, route: string, status: string) => void;
  readonly corsOrigin: string | undefined;
  /** Finds out who asks, and who may. */
  readonly gate: Gate;
  /** Asked for what no route is for; without it that is a 404. */
  readonly forward?: Forward;
}

/** The HTTP face: every route as `/x` and `/api/x`, ComfyUI's answers for what is not there. */
export function createApp(routes: readonly Route[], options: AppOptions, log: Logger): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', 'simple');
  if (options.countRequest !== undefined) app.use(countRequests(options.countRequest));
  app.use(checkCaller(options));
  app.use((req: Request, res: Response, next: NextFunction) => {
    options.gate.prepare(req, res, next);
  });
  registerRoutes(app, routes, options);
  if (options.forward !== undefined) app.use(forwardForeign(options.forward, routes, options.gate));
  app.use((_req, res) => {
    res.setHeader('Content-Type', 'application/octet-stream');
    sendEmpty(res, 404);
  });
  app.use((error: unknown, req: Request, res: Response, _next: NextFunction) => {
    answerError(error, req, res, log);
  });
  return app;
}

/** Routes are counted by their patterns: what a caller writes in a path is no label. */
function countRequests(count: NonNullable<AppOptions['countRequest']>) {
  return (req: Request, res: Response, next: NextFunction): void => {
    const { method } = req;
    res.once('close', () => {
      const { route = '(none)' } = res.locals as { route?: string };
      count(method, route, res.writableEnded ? String(res.statusCode) : 'aborted');
    });
    next();
  };
}

function checkCaller({ checkCaller: check, corsOrigin, gate }: AppOptions) {
  return (req: Request, res: Response, next: NextFunction): void => {
    if (corsOrigin !== undefined) {
      res.setHeader('Access-Control-Allow-Origin', corsOrigin);
      res.setHeader('Access-Control-Allow-Methods', 'POST, GET, DELETE, PUT, OPTIONS, PATCH');
      res.setHeader('Access-Control-Allow-Headers', gate.allowedHeaders);
      res.setHeader('Access-Control-Allow-Credentials', 'true');
    }
    const refusal = check(req);
    if (refusal !== undefined) {
      res.locals.route = '(refused)';
      sendError(res, refusal);
    } else if (req.method === 'OPTIONS') {
      res.locals.route = '(options)';
      sendEmpty(res, 200);
    } else {
      next();
    }
  };
}

/** Other spellings of Tiercel's own paths, e.g. with a slash at the end, are not the pool's either. */
function forwardForeign(forward: Forward, routes: readonly Route[], gate: Gate) {
  const isOwnPath = createOwnPathTest(routes.flatMap(pathsOf));
  return async (req: Request, res: Response, next: NextFunction): Promise<void> => {
    res.locals.route = '(proxied)';
    if (!(await gate.admitProxied(req, res))) return;
    const outcome = isOwnPath(req.originalUrl) ? 'absent' : await forward(req, res);
    switch (outcome) {
      case 'sent':
        return;
      case 'absent':
        res.locals.route = '(none)';
        next();
        return;
      case 'unreachable':
        sendError(res, new AppError('server_unreachable', 'No server of the pool could be asked.'));
        return;
      case 'late':
        sendError(
          res,
          new AppError('server_late', 'The server of the pool did not answer in time.'),
        );
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

/** Bodies of routes that ask for little: larger ones are parsed in a thread of their own (json/). */
const SHORT_BODY_BYTES = 1024 * 1024;

type Handler = (req: Request, res: Response) => unknown;

/** A handler that only whom the route is for gets to. */
function admitting({ access = 'caller' }: Route, handle: Handler, gate: Gate): Handler {
  return (req, res) => {
    const isAdmitted = gate.admit(req, res, access);
    if (typeof isAdmitted === 'boolean') return isAdmitted ? handle(req, res) : undefined;
    return isAdmitted.then((mayPass) => (mayPass ? handle(req, res) : undefined));
  };
}

/**
 * Paths without parameters are found in a table; only the others go through Express' patterns, which
 * are tried one after another.
 */
function registerRoutes(app: Express, routes: readonly Route[], options: AppOptions): void {
  const readText = readBody(Math.min(options.maxBodyBytes, SHORT_BODY_BYTES));
  const byPath = new Map<string, Map<string, Handler>>();
  for (const route of routes) {
    const handle = admitting(route, handlerOf(route, readText), options.gate);
    for (const path of pathsOf(route)) {
      const methods = byPath.get(path) ?? new Map<string, Handler>();
      byPath.set(path, methods.set(route.method, handle));
      if (route.method === 'GET') methods.set('HEAD', handle);
    }
  }
  const dispatch = (path: string, req: Request, res: Response) => {
    const methods = byPath.get(path) ?? new Map<string, Handler>();
    res.locals.route = path;
    const handle = methods.get(req.method);
    if (handle !== undefined) return handle(req, res);
    res.setHeader('Allow', [...methods.keys()].sort().join(','));
    sendText(res, '405: Method Not Allowed', { status: 405 });
    return undefined;
  };
  app.use((req: Request, res: Response, next: NextFunction) => {
    if (byPath.has(req.path)) return dispatch(req.path, req, res);
    next();
    return undefined;
  });
  for (const path of byPath.keys()) {
    if (path.includes(':') || path.includes('*')) {
      app.all(path, (req, res) => dispatch(path, req, res));
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
  const known = translateError(error);
  // What the caller is not told is here: stack, path, the system's error.
  if (known.code === 'internal' || known.code === 'storage_unavailable') {
    log.error({ err: error, method: req.method, path: req.path }, 'a request failed');
  } else if (known.code === 'redis_unavailable') {
    log.warn({ err: error }, 'a request was refused for want of Redis');
  }
  sendError(res, known);
}

/** Any error as one of the catalogue: what a caller may be told of it. */
export function translateError(error: unknown): AppError {
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
