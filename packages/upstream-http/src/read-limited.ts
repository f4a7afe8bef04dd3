import type { IncomingMessage } from 'node:http';

/**
 * The body of an answer; undefined as soon as there is too much of it.
 * @throws when the connection ends before it
 */
export function readLimited(
  incoming: IncomingMessage,
  maxBytes: number,
): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let size = 0;
    incoming.on('data', (part: Buffer) => {
      size += part.byteLength;
      parts.push(part);
      if (size <= maxBytes) return;
      resolve(undefined);
      incoming.destroy();
    });
    incoming.on('end', () => {
      resolve(Buffer.concat(parts));
    });
    incoming.on('error', reject);
    incoming.on('close', () => {
      reject(new Error('the connection was closed'));
    });
  });
}
