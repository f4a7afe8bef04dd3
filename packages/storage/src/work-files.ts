import { randomUUID } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errnoOf } from './node-errors.ts';
import { WORK_FOLDER } from './safe-path.ts';

/** A fresh path below `root` for a file in the making; its folder exists. */
export async function createWorkPath(root: string): Promise<string> {
  const path = freshPath(root);
  await mkdir(dirname(path), { recursive: true });
  return path;
}

/** Writes a work file; the folder is made only when it lacks, because it nearly never does. */
export async function writeWorkFile(
  root: string,
  data: Uint8Array | string | readonly Uint8Array[] | AsyncIterable<Uint8Array>,
): Promise<string> {
  const isWhole = typeof data === 'string' || data instanceof Uint8Array;
  // Parts can be read once only: nothing may fail for want of a folder.
  const path = isWhole ? freshPath(root) : await createWorkPath(root);
  try {
    try {
      await writeFile(path, data, { flag: 'wx' });
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT' || !isWhole) throw error;
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, data, { flag: 'wx' });
    }
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
  return path;
}

function freshPath(root: string): string {
  return join(root, WORK_FOLDER, randomUUID());
}
