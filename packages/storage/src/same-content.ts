import { open, stat, type FileHandle } from 'node:fs/promises';

const BLOCK_BYTES = 256 * 1024;

/**
 * Whether two files hold the same bytes. ComfyUI compares SHA-256 sums; comparing block by block
 * gives the same answer and stops at the first difference.
 */
export async function haveSameContent(pathA: string, pathB: string): Promise<boolean> {
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
