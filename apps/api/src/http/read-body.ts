import { AppError } from '@tiercel/contracts';
import type { NextFunction, Request, RequestHandler, Response } from 'express';

/**
 * Reads the whole body as UTF-8 text, whatever its content type says: ComfyUI's clients send JSON as
 * text/plain, as form data, or with no type at all (WIRE.md 6.9). Counts bytes as they arrive, so that
 * a chunked body cannot pass the limit unseen.
 */
export function readBody(maxBytes: number): RequestHandler {
  return (req: Request, _res: Response, next: NextFunction) => {
    const chunks: Buffer[] = [];
    let size = 0;
    let failed = false;
    const tooLarge = () => {
      failed = true;
      next(new AppError('body_too_large', `The body is larger than ${maxBytes} bytes.`));
    };
    if (Number(req.headers['content-length'] ?? 0) > maxBytes) {
      req.resume();
      tooLarge();
      return;
    }
    req.on('data', (chunk: Buffer) => {
      if (failed) return;
      size += chunk.length;
      if (size > maxBytes) tooLarge();
      else chunks.push(chunk);
    });
    req.on('error', (error) => {
      if (!failed) next(error);
    });
    req.on('end', () => {
      if (failed) return;
      try {
        req.body = decode(chunks);
      } catch (error) {
        next(error);
        return;
      }
      next();
    });
  };
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
