import type { NewOutput } from '@tiercel/contracts';
import { readHeader } from '@tiercel/pictures';
import type { NodeFiles } from '../executor/execution-request.ts';

/** Whatever their size, pictures count. */
const NO_LIMIT = { maxPixels: Number.MAX_SAFE_INTEGER, setting: '' };

/**
 * The same files; each picture that is stored is counted.
 * @param count told the number of pictures, and the pixels of them together
 */
export function countStoredPictures(
  files: NodeFiles,
  count: (images: number, pixels: number) => void,
): NodeFiles {
  return {
    readInput: (name, beforeRead) => files.readInput(name, beforeRead),
    fingerprint: (name) => files.fingerprint(name),
    outputExists: (output) => files.outputExists(output),
    async saveOutput(output) {
      const file = await files.saveOutput(output);
      const pixels = await readPixels(output);
      if (pixels !== undefined) count(1, pixels);
      return file;
    },
  };
}

/** Undefined for what is no picture. */
async function readPixels({ width, height, bytes }: NewOutput): Promise<number | undefined> {
  if (width !== undefined && height !== undefined) return width * height;
  if (!(bytes instanceof Uint8Array)) return undefined;
  try {
    const header = await readHeader({ name: 'a file', content: bytes }, NO_LIMIT, 'first');
    return header.width * header.height;
  } catch {
    return undefined;
  }
}
