import { AppError } from '@tiercel/contracts';
import type { Request } from 'express';

/**
 * The raw body in blocks. Unlike iterating the request itself, stopping early leaves the socket
 * open, so that the refusal still reaches the client.
 * @throws AppError body_too_large, bad_request when the client goes away
 */
export async function* readLimited(req: Request, maxBytes: number): AsyncGenerator<Uint8Array> {
  const tooLarge = () => new AppError('body_too_large', `Files are limited to ${maxBytes} bytes.`);
  if (Number(req.headers['content-length'] ?? 0) > maxBytes) throw tooLarge();
  let length = 0;
  try {
    for await (const block of req.iterator({ destroyOnReturn: false })) {
      if (!Buffer.isBuffer(block)) throw new TypeError('the body was read as text before');
      length += block.length;
      if (length > maxBytes) throw tooLarge();
      yield block;
    }
  } catch (cause) {
    if (!req.destroyed || req.complete) throw cause;
    throw new AppError('bad_request', 'The body broke off.', { cause });
  }
}
