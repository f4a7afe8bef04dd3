import { AppError } from '@tiercel/contracts';

/** The `code` of an error of Node's file functions, e.g. `ENOENT`; undefined for anything else. */
export function errnoOf(error: unknown): string | undefined {
  // Not by instanceof: errors of another realm (Jest runs tests in one) are not of this Error class.
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** Codes by which a path simply names nothing that can be opened. */
const ABSENT = new Set(['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ELOOP']);

export function isAbsent(error: unknown): boolean {
  return ABSENT.has(errnoOf(error) ?? '');
}

/**
 * Codes by which the operating system refuses a name, as opposed to failing. ENOTEMPTY: a file is to
 * take the name of a folder that it lies in.
 */
const BAD_NAME = new Set(['ENAMETOOLONG', 'EISDIR', 'ENOTDIR', 'ENOTEMPTY', 'EINVAL', 'EILSEQ']);

/** An AppError bad_request in place of the system's refusal of a name; other errors as they are. */
export function translateBadName(error: unknown): unknown {
  if (!BAD_NAME.has(errnoOf(error) ?? '')) return error;
  return new AppError('bad_request', 'The file name cannot be used.', { cause: error });
}
