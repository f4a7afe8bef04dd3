import { randomUUID } from 'node:crypto';
import { link, mkdir, open, readFile, rename, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoOf, isAbsent } from './node-errors.ts';

/**
 * A lock between processes: whoever creates the lock file holds it. A holder that died leaves the
 * file behind; after `staleMs` another takes it away by renaming it, which only one of them can do.
 * If the renamed file turns out to be a fresh one (another was quicker to break the stale lock and
 * took it), it is put back. Work under the lock must be much shorter than `staleMs`.
 */
export interface FileLockOptions {
  /** Age at which a lock file counts as left by a dead process. */
  readonly staleMs: number;
  /** How long to wait for the lock before giving up. */
  readonly timeoutMs: number;
}

const RETRY_MIN_MS = 2;
const RETRY_SPREAD_MS = 15;

/** @throws Error when the lock is not had within `timeoutMs` */
export async function withFileLock<T>(
  lockPath: string,
  options: FileLockOptions,
  action: () => Promise<T>,
): Promise<T> {
  const token = randomUUID();
  await acquire(lockPath, token, options);
  try {
    return await action();
  } finally {
    await release(lockPath, token);
  }
}

async function acquire(lockPath: string, token: string, options: FileLockOptions): Promise<void> {
  const giveUpAt = Date.now() + options.timeoutMs;
  while (!(await create(lockPath, token))) {
    if (Date.now() >= giveUpAt) throw new Error('a lock file was not released in time');
    if (await isStale(lockPath, options.staleMs)) await breakLock(lockPath, options.staleMs);
    else await sleep(RETRY_MIN_MS + Math.random() * RETRY_SPREAD_MS);
  }
}

async function create(lockPath: string, token: string): Promise<boolean> {
  try {
    const file = await open(lockPath, 'wx');
    await file.writeFile(token).finally(() => file.close());
    return true;
  } catch (error) {
    const code = errnoOf(error);
    if (code === 'EEXIST') return false;
    if (code !== 'ENOENT') throw error;
    await mkdir(dirname(lockPath), { recursive: true });
    return false;
  }
}

async function isStale(path: string, staleMs: number): Promise<boolean> {
  try {
    return Date.now() - (await stat(path)).mtimeMs > staleMs;
  } catch (error) {
    if (isAbsent(error)) return false;
    throw error;
  }
}

async function breakLock(lockPath: string, staleMs: number): Promise<void> {
  const aside = `${lockPath}.${randomUUID()}`;
  try {
    await rename(lockPath, aside);
  } catch (error) {
    if (isAbsent(error)) return;
    throw error;
  }
  if (!(await isStale(aside, staleMs))) await link(aside, lockPath).catch(() => undefined);
  await unlink(aside);
}

/** Only the own lock file: one that was taken for stale may belong to another by now. */
async function release(lockPath: string, token: string): Promise<void> {
  try {
    if ((await readFile(lockPath, 'utf8')) === token) await unlink(lockPath);
  } catch (error) {
    if (!isAbsent(error)) throw error;
  }
}
