import type { IncomingMessage } from 'node:http';
import type { Readable, Transform } from 'node:stream';
import { isNativeError } from 'node:util/types';
import { createBrotliDecompress, createGunzip, createInflate, createInflateRaw } from 'node:zlib';
import { AppError } from '@tiercel/contracts';

/**
 * A request's body as it was before its Content-Encoding: gzip, deflate (with its zlib header or
 * without) or br. Whoever reads it counts its bytes: a few compressed ones may be many. It fails with
 * AppError bad_request when the caller goes away before its end, or the compressed data is damaged.
 * @throws AppError unsupported_encoding
 */
export async function openBody(req: IncomingMessage): Promise<Readable> {
  const encoding = (req.headers['content-encoding'] ?? 'identity').trim().toLowerCase();
  if (encoding === 'identity' || encoding === '') return req;
  const decoder = await createDecoder(encoding, req);
  if (req.destroyed && !req.complete) throw bodyBrokeOff();
  req.once('close', () => {
    if (!req.complete) decoder.destroy(bodyBrokeOff());
  });
  // Not pipeline: it would destroy the request, and with it the connection that is to carry a refusal.
  return req.pipe(decoder);
}

async function createDecoder(encoding: string, req: IncomingMessage): Promise<Transform> {
  switch (encoding) {
    case 'gzip':
    case 'x-gzip':
      return createGunzip();
    case 'deflate':
      // Both forms are in use under this name.
      return (await startsWithZlibHeader(req)) ? createInflate() : createInflateRaw();
    case 'br':
      return createBrotliDecompress();
    default:
      throw new AppError(
        'unsupported_encoding',
        `The Content-Encoding ${JSON.stringify(encoding)} is not known; send gzip, deflate, br, or none.`,
      );
  }
}

/** RFC 1950: the method is 8, and the first two bytes are a multiple of 31. */
async function startsWithZlibHeader(req: IncomingMessage): Promise<boolean> {
  const start = await new Promise<Buffer>((resolve) => {
    let read = Buffer.alloc(0);
    const finish = () => {
      req.off('readable', look);
      req.off('close', finish);
      if (read.length > 0) req.unshift(read);
      resolve(read);
    };
    const look = () => {
      const found = req.read() as Buffer | null;
      if (found !== null) read = Buffer.concat([read, found]);
      // The two may come one by one.
      if (read.length >= 2 || req.complete) finish();
    };
    req.on('readable', look);
    req.on('close', finish);
  });
  const [method = 0, flags = 0] = start;
  return (method & 0x0f) === 8 && ((method << 8) | flags) % 31 === 0;
}

/** What the reader of a body that failed is to throw. */
export function readFailure(cause: unknown): AppError {
  if (cause instanceof AppError) return cause;
  const isZlib = isNativeError(cause) && 'code' in cause && /^(Z_|ERR_)/.test(String(cause.code));
  return isZlib
    ? new AppError('bad_request', 'The body is not what its Content-Encoding says.', { cause })
    : bodyBrokeOff(cause);
}

function bodyBrokeOff(cause?: unknown): AppError {
  return new AppError('bad_request', 'The body broke off.', { cause });
}
