import { AppError } from '@tiercel/contracts';
import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import type { Request } from 'express';
import { openBody, readFailure } from './open-body.ts';

export type RequestReader = (req: Request) => Promise<void>;

/**
 * Reads the whole body as UTF-8 text into `req.body`, whatever its content type says: ComfyUI's clients
 * send JSON as text/plain, as form data, or with no type at all (WIRE.md 6.9).
 */
export function readBody(maxBytes: number): RequestReader {
  return async (req) => {
    req.body = decode(await readBytes(req, maxBytes));
  };
}

/**
 * The body, decompressed. Counts bytes as they arrive, so that neither a chunked body nor a compressed
 * one passes the limit unseen.
 * @throws AppError body_too_large, unsupported_encoding, bad_request
 */
async function readBytes(req: IncomingMessage, maxBytes: number): Promise<Buffer[]> {
  const tooLarge = () =>
    new AppError('body_too_large', `The body is larger than ${maxBytes} bytes.`);
  if (Number(req.headers['content-length'] ?? 0) > maxBytes) throw tooLarge();
  const body = await openBody(req);
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    await new Promise<void>((resolve, reject) => {
      body.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > maxBytes) reject(tooLarge());
        else chunks.push(chunk);
      });
      body.on('error', reject);
      body.on('end', resolve);
    });
    return chunks;
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

const decoder = new TextDecoder('utf-8', { fatal: true });

function decode(chunks: readonly Buffer[]): string {
  const [first] = chunks;
  if (first === undefined) return '';
  try {
    return decoder.decode(chunks.length === 1 ? first : Buffer.concat(chunks));
  } catch (cause) {
    throw new AppError('bad_json', 'The body is not valid UTF-8.', { cause });
  }
}
