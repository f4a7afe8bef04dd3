import { AppError } from '@tiercel/contracts';
import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import type { Request } from 'express';
import { decodeBody } from '../json/parse-body.ts';
import { openBody, readFailure } from './open-body.ts';

export type RequestReader = (req: Request) => Promise<void>;

/**
 * Reads the whole body as UTF-8 text into `req.body`, whatever its content type says: ComfyUI's clients
 * send JSON as text/plain, as form data, or with no type at all (wire 1.3).
 */
export function readBody(maxBytes: number): RequestReader {
  return async (req) => {
    const chunks: Buffer[] = [];
    await readBytes(req, maxBytes, (chunk) => chunks.push(chunk));
    const [first, second] = chunks;
    const isOne = first !== undefined && second === undefined;
    req.body = decodeBody(isOne ? first : Buffer.concat(chunks));
  };
}

/**
 * The body, decompressed, piece by piece as it comes, for what stays in memory. Counts bytes as they arrive, so that neither a chunked body nor a
 * compressed one passes the limit unseen.
 * @throws AppError body_too_large, unsupported_encoding, bad_request
 */
export async function readBytes(
  req: IncomingMessage,
  maxBytes: number,
  onChunk: (chunk: Buffer) => void,
): Promise<void> {
  const tooLarge = () =>
    new AppError('body_too_large', `The body is larger than ${maxBytes} bytes.`);
  const body = await openLimited(req, maxBytes, tooLarge);
  let size = 0;
  try {
    await new Promise<void>((resolve, reject) => {
      body.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > maxBytes) reject(tooLarge());
        else onChunk(chunk);
      });
      body.on('error', reject);
      body.on('end', resolve);
    });
  } catch (error) {
    discard(req, body);
    throw readFailure(error);
  }
}

/**
 * The body of a file, decompressed, as fast as whoever stores it takes it. Unlike iterating the request itself,
 * stopping early leaves the socket open, so that the refusal still reaches the client.
 * @throws AppError body_too_large, unsupported_encoding, bad_request when the client goes away
 */
export async function* streamFileBody(
  req: IncomingMessage,
  maxBytes: number,
): AsyncGenerator<Uint8Array> {
  const tooLarge = () => new AppError('body_too_large', `Files are limited to ${maxBytes} bytes.`);
  const body = await openLimited(req, maxBytes, tooLarge);
  let size = 0;
  try {
    for await (const chunk of body.iterator({ destroyOnReturn: false })) {
      if (!Buffer.isBuffer(chunk)) throw new TypeError('the body was read as text before');
      size += chunk.length;
      if (size > maxBytes) throw tooLarge();
      yield chunk;
    }
  } catch (cause) {
    if (cause instanceof TypeError) throw cause;
    throw readFailure(cause);
  } finally {
    discard(req, body);
  }
}

/** Refuses at once what says itself that it is too long. */
async function openLimited(
  req: IncomingMessage,
  maxBytes: number,
  tooLarge: () => AppError,
): Promise<Readable> {
  if (Number(req.headers['content-length'] ?? 0) > maxBytes) throw tooLarge();
  return await openBody(req);
}

/** What still comes is thrown away, so that the caller gets to read the answer. */
export function discard(req: IncomingMessage, body: Readable): void {
  body.removeAllListeners('data');
  if (body !== req) {
    req.unpipe();
    body.destroy();
  }
  req.resume();
}
