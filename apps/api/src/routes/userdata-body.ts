import type { IncomingMessage } from 'node:http';
import { AppError } from '@tiercel/contracts';
import { openBody, readFailure } from '../http/open-body.ts';
import { discard } from '../http/read-body.ts';

/**
 * The raw body in blocks, decompressed. Unlike iterating the request itself, stopping early leaves the
 * socket open, so that the refusal still reaches the client.
 * @throws AppError body_too_large, unsupported_encoding, bad_request when the client goes away
 */
export async function* readLimited(
  req: IncomingMessage,
  maxBytes: number,
): AsyncGenerator<Uint8Array> {
  const tooLarge = () => new AppError('body_too_large', `Files are limited to ${maxBytes} bytes.`);
  if (Number(req.headers['content-length'] ?? 0) > maxBytes) throw tooLarge();
  const body = await openBody(req);
  let length = 0;
  try {
    for await (const block of body.iterator({ destroyOnReturn: false })) {
      if (!Buffer.isBuffer(block)) throw new TypeError('the body was read as text before');
      length += block.length;
      if (length > maxBytes) throw tooLarge();
      yield block;
    }
  } catch (cause) {
    if (cause instanceof TypeError) throw cause;
    throw readFailure(cause);
  } finally {
    discard(req, body);
  }
}
