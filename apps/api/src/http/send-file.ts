import { basename, dirname } from 'node:path';
import type { FoundFile } from '@tiercel/storage';
import type { Request, Response } from 'express';
import mime from 'mime-types';
import send from 'send';

/**
 * Files come from users and from models, so none may run as a page or a script of this origin.
 * Types that a browser only shows or plays are served as they are; all others become a download.
 */
export interface ContentHeaders {
  readonly type: string;
  readonly isInert: boolean;
  /** Tells apart what one file is sent as, for its ETag; the file itself without it. */
  readonly variant?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const INERT_FAMILY = /^(?:image|video|audio|font|model)\/[\w.+-]+$/;
const INERT = new Set(['application/json', 'text/plain', 'text/markdown', 'text/csv']);
const ACTIVE = /xml|html|script|svg/;

const SVG = /\.svg$/i;
/** Whatever an SVG holds, nothing in it runs or is fetched, not even where it is opened as a page all the same. */
const SVG_POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; sandbox";

/**
 * The type to serve a file under, by the ending of its name.
 * @param destination what the browser wants it for (Sec-Fetch-Dest): an SVG is a picture in an `<img>`, where no
 *        browser runs its scripts, and a download everywhere else
 */
export function contentOf(filename: string, destination?: string): ContentHeaders {
  if (SVG.test(filename)) {
    const headers = { Vary: 'Sec-Fetch-Dest', 'Content-Security-Policy': SVG_POLICY };
    return destination === 'image'
      ? { type: 'image/svg+xml', isInert: true, variant: 'image', headers }
      : { type: 'application/octet-stream', isInert: false, headers };
  }
  const found = mime.lookup(filename);
  // The registered name (RFC 9639), which ComfyUI sends too; not every player knows the older one.
  const guess = found === 'audio/x-flac' ? 'audio/flac' : found;
  if (guess !== false && !ACTIVE.test(guess) && (INERT.has(guess) || INERT_FAMILY.test(guess))) {
    return { type: guess, isInert: true };
  }
  return { type: 'application/octet-stream', isInert: false };
}

/**
 * A Content-Disposition value that no file name can break out of. Plain names look as ComfyUI's
 * (`filename="x.png"`); others get an ASCII stand-in and the real name as RFC 8187 wants it.
 */
export function dispositionOf(filename: string, isAttachment: boolean): string {
  const kind = isAttachment ? 'attachment; ' : '';
  if (/^[\w !#$&'()+,.;=@[\]^`{}~-]*$/.test(filename)) return `${kind}filename="${filename}"`;
  // Half of a surrogate pair (possible in a name on disk) cannot be encoded: it becomes U+FFFD.
  const wellFormed = Buffer.from(filename).toString();
  const asciiName = filename.replace(/[^\x20-\x7e]|["\\%]/g, '_');
  const encoded = encodeURIComponent(wellFormed).replace(
    /['()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `${kind}filename="${asciiName}"; filename*=UTF-8''${encoded}`;
}

/** A file name as `send` takes it: it decodes what it is given. */
const urlPathOf = (path: string): string => `/${encodeURIComponent(basename(path))}`;

/**
 * Streams a stored file with ETag, Last-Modified, ranges and conditional requests.
 * Content-Type and Content-Disposition are the caller's to set; errors have empty bodies.
 * @param variant part of the ETag where one file is sent in several ways
 */
export function sendFile(req: Request, res: Response, found: FoundFile, variant?: string): void {
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
