import { isAppError } from '@tiercel/contracts';
import type { Request, Response } from 'express';

/**
 * The query as aiohttp reads it: the first of repeated values counts, brackets mean nothing (the
 * parser of Express would make objects of them).
 */
export function queryOf(req: Request): URLSearchParams {
  const at = req.originalUrl.indexOf('?');
  return new URLSearchParams(at < 0 ? '' : req.originalUrl.slice(at + 1));
}

/** An answer without body and content type, as ComfyUI's when there is nothing to say. */
export function endEmpty(res: Response, status: 200 | 204 | 404): void {
  res.status(status).end();
}

/** A value, or null in place of one that a refused path stands in the way of. */
export async function orNullIfRefused<T>(value: Promise<T>): Promise<{ value: T } | null> {
  try {
    return { value: await value };
  } catch (error) {
    if (isAppError(error) && error.code === 'path_refused') return null;
    throw error;
  }
}
