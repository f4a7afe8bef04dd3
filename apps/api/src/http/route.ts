import type { Request, Response } from 'express';

/**
 * Who a route is for, unless `auth.mode` is `open`. everyone: also who sends a bad key; page: files of a frontend, for
 * everybody, but a person who opens one in a browser is sent to the login page first; caller: who may use the service;
 * admin: callers of that role; operator: the same, and with `auth.mode: open` who asks from this machine itself.
 */
export type Access = 'everyone' | 'page' | 'caller' | 'admin' | 'operator';

/**
 * Routes are data: one table registers each route as `/x` and as `/api/x`, as ComfyUI does,
 * knows which methods a path takes (for 405), and how its body is read.
 */
export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Express 5 path pattern without the /api prefix, e.g. `/history/:promptId`. */
  readonly path: string;
  /** both: `/x` and `/api/x` (the default); api: only `/api/x`; bare: only `/x`. */
  readonly prefix?: 'both' | 'api' | 'bare';
  /**
   * How the body is read before `handle` runs: text = the whole body as a string in `req.body`, whatever
   * the content type says (at most 1 MiB); none = left unread, for handlers that take more, or files.
   */
  readonly body?: 'text' | 'none';
  /** Default: `caller`. */
  readonly access?: Access;
  handle(req: Request, res: Response): void | Promise<void>;
}
