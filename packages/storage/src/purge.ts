import { lstat, readdir, rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { isAbsent } from './node-errors.ts';
import { WORK_FOLDER } from './safe-path.ts';

/**
 * Removes the files below `folder` (which itself stays) that were last written before `beforeMs`,
 * and sub-folders that are empty then; work files below it are left alone. Other processes may use and purge it at the same time.
 * @returns how many files went
 */
export async function purgeFolder(folder: string, beforeMs: number): Promise<number> {
  let removed = 0;
  for (const entry of await entriesOf(folder)) {
    if (entry.name === WORK_FOLDER) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      removed += await purgeFolder(path, beforeMs);
      // Fails while something is in it, and that is what decides.
      await rmdir(path).catch(() => undefined);
    } else if (await removeIfOlder(path, beforeMs)) {
      removed += 1;
    }
  }
  return removed;
}

async function entriesOf(folder: string) {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (error) {
    if (isAbsent(error)) return [];
    throw error;
  }
}

async function removeIfOlder(path: string, beforeMs: number): Promise<boolean> {
  try {
    if ((await lstat(path)).mtimeMs >= beforeMs) return false;
    await unlink(path);
    return true;
  } catch (error) {
    if (isAbsent(error)) return false;
    throw error;
  }
}
