import { realpath } from 'node:fs/promises';
import { dirname, join, resolve, sep } from 'node:path';
import { AppError } from '@tiercel/contracts';
import { isAbsent } from './node-errors.ts';

/** Holds half-written files; never listed and never reachable by a name from outside. */
export const WORK_FOLDER = '.tiercel-tmp';

/**
 * Percent-escapes of the characters that matter to a path. A name is taken literally, but one that
 * would leave its folder after some proxy or client decoded it (again) is refused all the same.
 */
const ESCAPES: readonly (readonly [RegExp, string])[] = [
  [/%25/g, '%'],
  [/%2e/gi, '.'],
  [/%2f/gi, '/'],
  [/%5c/gi, '\\'],
  [/%00/g, '\0'],
];
const MAX_DECODING_ROUNDS = 4;

function decodeDangerous(text: string): string {
  let decoded = text;
  for (let round = 0; round < MAX_DECODING_ROUNDS && decoded.includes('%'); round += 1) {
    const before = decoded;
    for (const [pattern, char] of ESCAPES) decoded = decoded.replace(pattern, char);
    if (decoded === before) break;
  }
  return decoded;
}

/**
 * A name with `/` between its parts: clients on Windows write `\`, and it separates wherever a name is
 * read or written, as in the prefixes of output files.
 */
export function toSlashes(name: string): string {
  return name.replaceAll('\\', '/');
}

function leavesFolder(part: string): boolean {
  const path = toSlashes(part);
  return (
    path.includes('\0') ||
    path.startsWith('/') ||
    /^[a-z]:\//i.test(path) ||
    path.split('/').includes('..')
  );
}

function refuse(): never {
  throw new AppError('path_refused', 'A file name or subfolder may not lead out of its folder.');
}

/**
 * Joins path parts below `root` by their text alone. A part may hold several segments ("a/b", "a\b").
 * @throws AppError path_refused on `..`, absolute parts, NUL, or escapes of these
 */
export function joinInside(root: string, ...given: readonly string[]): string {
  const parts = given.map(toSlashes);
  for (const part of parts) {
    if (leavesFolder(part) || leavesFolder(decodeDangerous(part))) refuse();
    if (part.split('/').includes(WORK_FOLDER)) refuse();
  }
  const base = resolve(root);
  const path = join(base, ...parts.map((part) => part.replace(/\/+$/, '')));
  // The last word: whatever the rules above overlook (drive letters) must still end up inside.
  if (path !== base && !path.startsWith(base.endsWith(sep) ? base : base + sep)) refuse();
  return path;
}

/**
 * joinInside, and the part of the path that exists must really lie below `root`: a symbolic link
 * that leads outside is refused. `root` itself may be a link. The result need not exist.
 * @throws AppError path_refused
 */
export async function resolveInside(root: string, ...parts: readonly string[]): Promise<string> {
  const path = joinInside(root, ...parts);
  const [realRoot, realPath] = await Promise.all([realOfExisting(root), realOfExisting(path)]);
  if (realRoot.missing === 0 && realPath.path !== realRoot.path) {
    const below = realRoot.path.endsWith(sep) ? realRoot.path : realRoot.path + sep;
    if (!realPath.path.startsWith(below)) refuse();
  }
  return path;
}

/** The real path of the longest existing beginning of `path`, and how many segments lack. */
async function realOfExisting(path: string): Promise<{ path: string; missing: number }> {
  let existing = resolve(path);
  for (let missing = 0; ; missing += 1) {
    try {
      return { path: await realpath(existing), missing };
    } catch (error) {
      const parent = dirname(existing);
      if (!isAbsent(error) || parent === existing) throw error;
      existing = parent;
    }
  }
}
