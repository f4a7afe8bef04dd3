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

/** What a person understands of the codes by which a file system fails. */
const TROUBLES: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full',
  EDQUOT: 'the quota of the disk is used up',
  EFBIG: 'the file is larger than the system allows',
  EROFS: 'the file system is read-only',
  EACCES: 'the system does not allow it',
  EPERM: 'the system does not allow it',
  EMFILE: 'too many files are open',
  ENFILE: 'too many files are open',
};
const RETRY_AFTER_SECONDS = 10;

/**
 * An error of the file system as it may be shown: the system's message has the path, which is for the log (`cause`).
 * A refused name is the caller's to correct, anything else is trouble of the storage. Other errors as they are.
 */
export function translateFileError(error: unknown): unknown {
  const code = errnoOf(error) ?? '';
  if (BAD_NAME.has(code)) {
    return new AppError('bad_request', 'The file name cannot be used.', { cause: error });
  }
  if (typeof error !== 'object' || error === null || !('syscall' in error)) return error;
  const trouble = TROUBLES[code] ?? 'the file system failed';
  return new AppError(
    'storage_unavailable',
    `The storage cannot be used now: ${trouble} (${code}).`,
    {
      cause: error,
      retryAfterSeconds: RETRY_AFTER_SECONDS,
    },
  );
}

/** Runs work on files; its errors can be shown. */
export async function onFiles<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw translateFileError(error);
  }
}
