import { join, parse } from 'node:path';
import { AppError } from '@tiercel/contracts';
import { isAbsent } from './node-errors.ts';
import { placeNew, placeOver } from './placing.ts';
import { haveSameContent } from './same-content.ts';

/** Files of one name in one folder; one more is refused, so that a loop of uploads ends. */
const MAX_SAME_NAMES = 10_000;

/**
 * Gives an upload its name as ComfyUI 0.3.64 does (wire 9.6): a file of that name with the same
 * content is the upload already; another content makes it `name (1).ext`, `name (2).ext`, ...
 * @returns the name the content now has in `folder`
 * @throws AppError bad_request when too many files share the name
 */
export async function placeUpload(
  workPath: string,
  folder: string,
  filename: string,
): Promise<string> {
  const { name: stem, ext } = parse(filename);
  let name = filename;
  for (let count = 1; count <= MAX_SAME_NAMES; count += 1) {
    const target = join(folder, name);
    if (await placeNew(workPath, target)) return name;
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

export async function placeUploadOver(
  workPath: string,
  folder: string,
  filename: string,
): Promise<string> {
  await placeOver(workPath, join(folder, filename));
  return filename;
}
