import { AppError } from '@tiercel/contracts';
import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import type { Request } from 'express';
import { decodeBody } from '../json/parse-body.ts';
import { openBody, readFailure } from './open-body.ts';

export type RequestReader = (req: Request) => Promise<void>;

/**
 * Reads the whole body as UTF-8 text into `req.body`, whatever its content type says: ComfyUI's clients
 * send JSON as text/plain, as form data, or with no type at all (WIRE.md 6.9).
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
 * The body, decompressed, piece by piece. Counts bytes as they arrive, so that neither a chunked body nor a
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
  if (Number(req.headers['content-length'] ?? 0) > maxBytes) throw tooLarge();
  const body = await openBody(req);
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

/** What still comes is thrown away, so that the caller gets to read the answer. */
export function discard(req: IncomingMessage, body: Readable): void {
  body.removeAllListeners('data');
  if (body !== req) {
    req.unpipe();
    body.destroy();
  }
  req.resume();
}
