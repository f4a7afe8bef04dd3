import type { Request, Response } from 'express';

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
  handle(req: Request, res: Response): void | Promise<void>;
}
