import type { Dirent } from 'node:fs';
import { readdir, rm, stat, unlink } from 'node:fs/promises';
import { join, posix, resolve } from 'node:path';
import { AppError } from '@tiercel/contracts';
import { findFile, type FoundFile } from './found-file.ts';
import { errnoOf, isAbsent, onFiles, translateFileError } from './node-errors.ts';
import { commitNew, commitOver, writeWorkFile } from './atomic-file.ts';
import { resolveInside, toSlashes, WORK_FOLDER } from './safe-path.ts';

export interface UserFileInfo {
  /** With `/`, relative to the folder that was asked about. */
  readonly path: string;
  readonly size: number;
  readonly modifiedMs: number;
  readonly createdMs: number;
}

export type UserEntry =
  | (UserFileInfo & { readonly kind: 'file'; readonly name: string })
  | { readonly kind: 'directory'; readonly name: string; readonly path: string };

export type WriteResult = UserFileInfo | 'exists';
export type MoveResult = UserFileInfo | 'exists' | 'missing';
/** replace: an existing file gives way; refuse: it stays and the answer is 'exists'. */
export type OnExisting = 'replace' | 'refuse';

/** Entries of one listing; what is beyond is not told. */
const MAX_ENTRIES = 20_000;

/** Workflows, sub-graphs and whatever else the frontend keeps for the single user. */
export class UserFiles {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  /**
   * Files of a folder, sorted by path, without hidden ones (ComfyUI globs).
   * @returns null when there is no such folder; nothing for a file, as ComfyUI
   * @throws AppError path_refused
   */
  async list(folder: string, depth: 'flat' | 'recursive'): Promise<UserFileInfo[] | null> {
    return onFiles(async () => {
      const path = await resolveInside(this.#root, folder);
      const kind = await kindOf(path);
      if (kind === null) return null;
      if (kind === 'file') return [];
      const isListed = (name: string) => !name.startsWith('.');
      const entries = await walk(path, '', { depth, isListed });
      return entries
        .filter((entry) => entry.kind === 'file')
        .sort(byPath)
        .map(infoOf);
    });
  }

  /**
   * Everything below a folder, paths relative to the user's root: folders first, then by lower-cased name.
   * @throws AppError path_refused
   */
  async browse(folder: string): Promise<UserEntry[] | 'missing' | 'not-a-directory'> {
    const path = await resolveInside(this.#root, folder);
    const kind = await kindOf(path);
    if (kind === null) return path === (await resolveInside(this.#root)) ? [] : 'missing';
    if (kind === 'file') return 'not-a-directory';
    const prefix = posix.normalize(toSlashes(folder)).replace(/\/+$/, '').replace(/^\.$/, '');
    const entries = await walk(path, prefix, { depth: 'recursive', isListed: () => true });
    return entries.sort(byKindAndName);
  }

  /** @throws AppError path_refused */
  async find(file: string): Promise<FoundFile | null> {
    return onFiles(async () => findFile(await resolveInside(this.#root, file)));
  }

  /**
   * Stores a file as a whole or, on an error of `content`, not at all.
   * @throws AppError path_refused, bad_request when the file system refuses the name
   */
  async write(
    file: string,
    content: Uint8Array | AsyncIterable<Uint8Array>,
    onExisting: OnExisting,
  ): Promise<WriteResult> {
    const target = await resolveInside(this.#root, file);
    const workPath = await onFiles(() => writeWorkFile(this.#root, content));
    try {
      if (onExisting === 'replace') await this.#replace(workPath, target);
      else if (!(await commitNew(workPath, target))) return 'exists';
      return await this.#describe(file, target);
    } catch (error) {
      throw translateFileError(error);
    } finally {
      await rm(workPath, { force: true });
    }
  }

  /**
   * @returns false when there is no such file
   * @throws AppError path_refused
   */
  async remove(file: string): Promise<boolean> {
    const found = await this.find(file);
    if (found === null) return false;
    try {
      await unlink(found.path);
      return true;
    } catch (error) {
      if (isAbsent(error)) return false;
      throw translateFileError(error);
    }
  }

  /** @throws AppError path_refused, bad_request when the file system refuses the name */
  async move(from: string, to: string, onExisting: OnExisting): Promise<MoveResult> {
    const source = await this.find(from);
    const target = await resolveInside(this.#root, to);
    if (source === null) return 'missing';
    try {
      if (onExisting === 'replace') await this.#replace(source.path, target);
      else if (await commitNew(source.path, target)) await rm(source.path, { force: true });
      else return 'exists';
      return await this.#describe(to, target);
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return 'missing';
      throw translateFileError(error);
    }
  }

  /** Whether anything was ever stored. */
  async exists(): Promise<boolean> {
    return (await kindOf(this.#root)) === 'directory';
  }

  /** @throws AppError bad_request for `.`: the errno of this differs, and a mount point has none */
  async #replace(workPath: string, target: string): Promise<void> {
    if (target === resolve(this.#root)) {
      throw new AppError('bad_request', 'The file name cannot be used.');
    }
    await commitOver(workPath, target);
  }

  async #describe(file: string, path: string): Promise<UserFileInfo> {
    const stats = await stat(path);
    return {
      path: posix.normalize(toSlashes(file)),
      size: stats.size,
      modifiedMs: stats.mtimeMs,
      createdMs: stats.ctimeMs,
    };
  }
}

interface WalkOptions {
  readonly depth: 'flat' | 'recursive';
  isListed(name: string): boolean;
}

/** Neither symbolic links nor work files are followed or named. */
async function walk(folder: string, prefix: string, options: WalkOptions): Promise<UserEntry[]> {
  const found: UserEntry[] = [];
  const folders = [{ folder, prefix }];
  for (let next = folders.pop(); next !== undefined; next = folders.pop()) {
    for (const entry of await readEntries(next.folder)) {
      if (found.length >= MAX_ENTRIES) return found;
      if (entry.name === WORK_FOLDER || !options.isListed(entry.name)) continue;
      const path = posix.join(next.prefix, entry.name);
      const real = join(next.folder, entry.name);
      if (entry.isDirectory()) {
        found.push({ kind: 'directory', name: entry.name, path });
        if (options.depth === 'recursive') folders.push({ folder: real, prefix: path });
      } else if (entry.isFile()) {
        const stats = await stat(real).catch(() => undefined);
        if (stats === undefined) continue;
        const { size, mtimeMs: modifiedMs, ctimeMs: createdMs } = stats;
        found.push({ kind: 'file', name: entry.name, path, size, modifiedMs, createdMs });
      }
    }
  }
  return found;
}

/** Nothing for a folder that has gone since it was named. */
async function readEntries(folder: string): Promise<Dirent[]> {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (error) {
    if (isAbsent(error)) return [];
    throw error;
  }
}

async function kindOf(path: string): Promise<'file' | 'directory' | null> {
  try {
    return (await stat(path)).isDirectory() ? 'directory' : 'file';
  } catch (error) {
    if (isAbsent(error)) return null;
    throw error;
  }
}

function infoOf(entry: UserFileInfo): UserFileInfo {
  const { path, size, modifiedMs, createdMs } = entry;
  return { path, size, modifiedMs, createdMs };
}

function byPath(a: { path: string }, b: { path: string }): number {
  return a.path < b.path ? -1 : 1;
}

function byKindAndName(a: UserEntry, b: UserEntry): number {
  if (a.kind !== b.kind) return a.kind === 'directory' ? -1 : 1;
  const [nameA, nameB] = [a.name.toLowerCase(), b.name.toLowerCase()];
  if (nameA === nameB) return byPath(a, b);
  return nameA < nameB ? -1 : 1;
}
