import { AppError } from '@tiercel/contracts';
import { MemoryLimitError, PictureError, type EncodedPicture } from '@tiercel/pictures';
import type { Response } from 'express';
import { goneSignal, onClosed } from '../../http/on-closed.ts';

/** A request waits this long for the memory that its picture needs. */
const MAX_WAIT_MS = 20_000;
const RETRY_AFTER_SECONDS = 5;
/** A caller that takes nothing of its answer for so long loses it: the picture's memory is wanted by others. */
const MAX_IDLE_MS = 30_000;

/**
 * Makes a picture for a request. Its memory counts until the picture has been used and the answer is over.
 * @param make ends its waiting when its signal aborts: the caller went away, or waited long enough
 * @returns what `use` gives; undefined when the caller has gone away
 * @throws AppError image_too_large, bad_request (no picture that can be read), pictures_busy
 */
export async function withPicture<T>(
  res: Response,
  make: (signal: AbortSignal) => Promise<EncodedPicture>,
  use: (picture: EncodedPicture) => T | Promise<T>,
): Promise<T | undefined> {
  const gone = goneSignal(res);
  try {
    const picture = await make(AbortSignal.any([gone, AbortSignal.timeout(MAX_WAIT_MS)]));
    onClosed(res, picture.release);
    res.setTimeout(MAX_IDLE_MS, () => res.destroy());
    return await use(picture);
  } catch (error) {
    if (gone.aborted) return undefined;
    throw translate(error);
  }
}

function translate(error: unknown): unknown {
  if (error instanceof PictureError) {
    const code = error.problem === 'too_large' ? 'image_too_large' : 'bad_request';
    return new AppError(code, error.message, { cause: error });
  }
  if (error instanceof MemoryLimitError) {
    return new AppError('image_too_large', error.message, { cause: error });
  }
  if (error instanceof DOMException && error.name === 'TimeoutError') {
    const message = 'Too many large pictures are being encoded at once; try again.';
    const options = { cause: error, retryAfterSeconds: RETRY_AFTER_SECONDS };
    return new AppError('pictures_busy', message, options);
  }
  return error;
}
