import { type FileHandle, open, stat } from 'node:fs/promises';
import { join, parse } from 'node:path';
import { AppError } from '@tiercel/contracts';
import { isAbsent } from './node-errors.ts';
import { commitNew, commitOver } from './atomic-file.ts';

/** Files of one name in one folder; one more is refused, so that a loop of uploads ends. */
const MAX_SAME_NAMES = 10_000;

/**
 * Gives an upload its name as ComfyUI 0.3.64 does (wire 9.6): a file of that name with the same
 * content is the upload already; another content makes it `name (1).ext`, `name (2).ext`, ...
 * @returns the name the content now has in `folder`
 * @throws AppError bad_request when too many files share the name
 */
export async function commitUpload(
  workPath: string,
  folder: string,
  filename: string,
): Promise<string> {
  const { name: stem, ext } = parse(filename);
  let name = filename;
  for (let count = 1; count <= MAX_SAME_NAMES; count += 1) {
    const target = join(folder, name);
    if (await commitNew(workPath, target)) return name;
    if (await isSame(workPath, target)) return name;
    name = `${stem} (${count})${ext}`;
  }
  throw new AppError('bad_request', 'Too many files share this name.');
}

async function isSame(workPath: string, target: string): Promise<boolean> {
  try {
    return await haveSameContent(workPath, target);
  } catch (error) {
    if (isAbsent(error)) return false;
    throw error;
  }
}

export async function commitUploadOver(
  workPath: string,
  folder: string,
  filename: string,
): Promise<string> {
  await commitOver(workPath, join(folder, filename));
  return filename;
}

const BLOCK_BYTES = 256 * 1024;

/**
 * Whether two files hold the same bytes. ComfyUI compares SHA-256 sums; comparing block by block
 * gives the same answer and stops at the first difference.
 */
async function haveSameContent(pathA: string, pathB: string): Promise<boolean> {
  const [statsA, statsB] = await Promise.all([stat(pathA), stat(pathB)]);
  if (!statsA.isFile() || !statsB.isFile() || statsA.size !== statsB.size) return false;
  const a = await open(pathA);
  try {
    const b = await open(pathB);
    try {
      return await haveSameBlocks(a, b);
    } finally {
      await b.close();
    }
  } finally {
    await a.close();
  }
}

async function haveSameBlocks(a: FileHandle, b: FileHandle): Promise<boolean> {
  const blockA = Buffer.allocUnsafe(BLOCK_BYTES);
  const blockB = Buffer.allocUnsafe(BLOCK_BYTES);
  for (let position = 0; ;) {
    const [lengthA, lengthB] = await Promise.all([
      fill(a, blockA, position),
      fill(b, blockB, position),
    ]);
    if (lengthA !== lengthB) return false;
    if (!blockA.subarray(0, lengthA).equals(blockB.subarray(0, lengthB))) return false;
    if (lengthA < BLOCK_BYTES) return true;
    position += lengthA;
  }
}

/** Reads until the block is full or the file ends: a single read may give less. */
async function fill(file: FileHandle, block: Buffer, position: number): Promise<number> {
  let length = 0;
  while (length < block.length) {
    const { bytesRead } = await file.read(block, length, block.length - length, position + length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return length;
}
