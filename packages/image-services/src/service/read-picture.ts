import { sniffFormat } from '@tiercel/pictures';
import { AttemptError } from '@tiercel/routing';

/** What a file says it is by its first bytes; undefined: no picture that services answer with. */
export function sniffImage(bytes: Uint8Array): 'png' | 'jpeg' | 'webp' | undefined {
  const format = sniffFormat(bytes);
  return format === 'png' || format === 'jpeg' || format === 'webp' ? format : undefined;
}

/**
 * The file itself, once its first bytes show that it is a picture: services answer 200 with texts and
 * with nothing.
 * @throws AttemptError (bad_output)
 */
export function readPicture(vendor: string, bytes: Uint8Array): Uint8Array {
  if (bytes.byteLength === 0) throw badOutput(vendor, 'nothing');
  if (sniffImage(bytes) === undefined) throw badOutput(vendor, 'something that is no picture');
  return bytes;
}

/**
 * A picture in base64, also as a `data:` URL.
 * @throws AttemptError (bad_output)
 */
export function readBase64Picture(vendor: string, text: unknown): Uint8Array {
  if (typeof text !== 'string' || text === '') throw badOutput(vendor, 'no picture');
  return readPicture(vendor, Buffer.from(text.slice(text.indexOf(',') + 1), 'base64'));
}

/** @param what as in `Cloudflare answered with nothing` */
export function badOutput(vendor: string, what: string, cause?: unknown): AttemptError {
  const options = cause === undefined ? {} : { cause };
  return new AttemptError('bad_output', `${vendor} answered with ${what}`, options);
}
