import { isAppError, type FileType } from '@tiercel/contracts';
import { parseAnnotated, toSlashes } from '@tiercel/storage';

/** How callers of /view and the uploads name a stored file. */
export interface StoredName {
  /** With slashes, whichever way the caller's system writes them. */
  readonly name: string;
  /** From the ` [input]` behind the name. */
  readonly folder: FileType | undefined;
  /** False for a name that can be no file's below its folder. */
  readonly isUsable: boolean;
}

export function parseStoredName(text: string): StoredName {
  const { name: written, type } = parseAnnotated(text);
  const name = toSlashes(written);
  const isUsable = name !== '' && !name.startsWith('/') && !name.includes('..');
  return { name, folder: type, isUsable };
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
