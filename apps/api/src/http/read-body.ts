import { AppError } from '@tiercel/contracts';
import type { Request } from 'express';

export type RequestReader = (req: Request) => Promise<void>;

/**
 * Reads the whole body as UTF-8 text into `req.body`, whatever its content type says: ComfyUI's clients
 * send JSON as text/plain, as form data, or with no type at all (WIRE.md 6.9). Counts bytes as they
 * arrive, so that a chunked body cannot pass the limit unseen.
 */
export function readBody(maxBytes: number): RequestReader {
  return async (req) => {
    const chunks: Buffer[] = [];
    let size = 0;
    await new Promise<void>((resolve, reject) => {
      const refuse = () => {
        // What still comes is thrown away, so that the caller gets to read the answer.
        req.removeAllListeners('data');
        req.resume();
        reject(new AppError('body_too_large', `The body is larger than ${maxBytes} bytes.`));
      };
      if (Number(req.headers['content-length'] ?? 0) > maxBytes) {
        refuse();
        return;
      }
      req.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > maxBytes) refuse();
        else chunks.push(chunk);
      });
      req.on('error', reject);
      req.on('end', resolve);
    });
    req.body = decode(chunks);
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
