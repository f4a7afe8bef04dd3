import { basename, dirname } from 'node:path';
import type { FoundFile } from '@tiercel/storage';
import type { Request, Response } from 'express';
import send from 'send';

/** A file name as `send` takes it: it decodes what it is given. */
const urlPathOf = (path: string): string => `/${encodeURIComponent(basename(path))}`;

/**
 * Streams a stored file with ETag, Last-Modified, ranges and conditional requests.
 * Content-Type and Content-Disposition are the caller's to set; errors have empty bodies.
 * @param variant part of the ETag where one file is sent in several ways
 */
export function sendFound(req: Request, res: Response, found: FoundFile, variant?: string): void {
  // send's own ETag is weak (whole milliseconds); strong ones allow If-Range.
  res.setHeader('ETag', `"${found.version}${variant === undefined ? '' : `-${variant}`}"`);
  res.setHeader('X-Content-Type-Options', 'nosniff');
  send(req, urlPathOf(found.path), {
    root: dirname(found.path),
    cacheControl: false,
    dotfiles: 'allow',
    index: false,
  })
    .on('error', (error: unknown) => {
      endWithError(res, error);
    })
    .pipe(res);
}

function endWithError(res: Response, error: unknown): void {
  if (res.headersSent) {
    res.destroy();
    return;
  }
  const range = res.getHeader('Content-Range');
  for (const name of res.getHeaderNames()) {
    if (/^(?:content-|etag|last-modified|accept-ranges)/.test(name)) res.removeHeader(name);
  }
  const status = statusOf(error);
  if (status === 416 && range !== undefined) res.setHeader('Content-Range', range);
  res.status(status).end();
}

function statusOf(error: unknown): number {
  if (typeof error !== 'object' || error === null || !('status' in error)) return 500;
  return typeof error.status === 'number' ? error.status : 500;
}
