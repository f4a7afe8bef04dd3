import { randomUUID } from 'node:crypto';
import { constants, writeFile as writeFileWithCallback } from 'node:fs';
import { copyFile, link, mkdir, open, rename, rm, unlink, writeFile } from 'node:fs/promises';
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

/**
 * How a finished work file becomes a named one. A reader never sees half a file, and of several
 * processes that want one name exactly one gets it.
 */

/** File systems without hard links (exFAT, some network mounts) say one of these. */
const NO_HARD_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EXDEV']);

/**
 * Creates a file with these bytes; makes missing folders. Of several processes that want one name the
 * file system lets exactly one create it.
 * @returns false when the name is taken
 */
export async function createFile(target: string, bytes: Uint8Array): Promise<boolean> {
  try {
    await writeNew(target, bytes);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false;
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
  // Made only now: the folder exists in all cases but the first.
  await mkdir(dirname(target), { recursive: true });
  return await createFile(target, bytes);
}

/** The callback form costs a third of a FileHandle's, and this is done for every picture. */
function writeNew(target: string, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    writeFileWithCallback(target, bytes, { flag: 'wx' }, (error) => {
      if (error === null) {
        resolve();
        return;
      }
      if (error.syscall === 'open') {
        reject(error);
        return;
      }
      // A full disk: half a file must not stay under a name that looks whole.
      void rm(target, { force: true }).finally(() => {
        reject(error);
      });
    });
  });
}

/**
 * Gives the file at `workPath` the name `target` too, if that is free; makes missing folders.
 * The work file stays (the caller removes it) unless the file system has no hard links.
 * @returns false when the name is taken
 */
export async function commitNew(workPath: string, target: string): Promise<boolean> {
  try {
    try {
      await link(workPath, target);
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
      // Made only now: the folder exists in all cases but the first.
      await mkdir(dirname(target), { recursive: true });
      await link(workPath, target);
    }
    return true;
  } catch (error) {
    const code = errnoOf(error) ?? '';
    if (code === 'EEXIST') return false;
    if (!NO_HARD_LINKS.has(code)) throw error;
    return commitByReservation(workPath, target);
  }
}

/** Without hard links: an empty file reserves the name, then the finished one takes its place. */
async function commitByReservation(workPath: string, target: string): Promise<boolean> {
  try {
    await (await open(target, 'wx')).close();
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false;
    throw error;
  }
  try {
    await commitOver(workPath, target);
  } catch (error) {
    await unlink(target).catch(() => undefined);
    throw error;
  }
  return true;
}

/** Moves the file at `workPath` to `target`, replacing what is there; makes missing folders. */
export async function commitOver(workPath: string, target: string): Promise<void> {
  try {
    try {
      await rename(workPath, target);
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
      await mkdir(dirname(target), { recursive: true });
      await rename(workPath, target);
    }
  } catch (error) {
    if (errnoOf(error) !== 'EXDEV') throw error;
    // input/ and output/ may be different mounts: copy next to the target, then rename there.
    const copy = `${target}.${randomUUID()}.part`;
    try {
      await copyFile(workPath, copy, constants.COPYFILE_EXCL);
      await rename(copy, target);
    } finally {
      await rm(copy, { force: true });
    }
  }
}
