import { stat } from 'node:fs/promises';
import { isAbsent } from './node-errors.ts';

export interface FoundFile {
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** With fractions, as far as a double holds them. */
  readonly mtimeMs: number;
  /** Changes whenever the content may have: nanoseconds of the mtime and the size, both hex. */
  readonly version: string;
}

/** The regular file at `path`, or null when there is none (a folder is none). */
export async function findFile(path: string): Promise<FoundFile | null> {
  try {
    const stats = await stat(path, { bigint: true });
    if (!stats.isFile()) return null;
    return {
      path,
      size: Number(stats.size),
      mtimeMs: Number(stats.mtimeNs) / 1e6,
      version: `${stats.mtimeNs.toString(16)}-${stats.size.toString(16)}`,
    };
  } catch (error) {
    if (isAbsent(error)) return null;
    throw error;
  }
}

/** A file that a job names is not there. The message holds the caller's name, never a machine path. */
export class FileNotFoundError extends Error {
  readonly code = 'ENOENT';

  constructor(name: string) {
    super(`No such file: ${name}`);
    this.name = 'FileNotFoundError';
  }
}
