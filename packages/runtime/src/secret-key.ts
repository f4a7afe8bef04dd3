import { randomBytes } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const KEY_BYTES = 32;

/**
 * The key that seals callers' secrets in Redis: a file in the data folder, made on first use and
 * readable by its owner only. All processes of one installation share the data folder, so they share it.
 * @returns 32 bytes
 */
export function loadSecretKey(dataDir: string): Uint8Array {
  const path = join(dataDir, 'secret.key');
  const existing = readIfThere(path);
  if (existing !== undefined) return existing;
  mkdirSync(dataDir, { recursive: true });
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, randomBytes(KEY_BYTES).toString('base64'), { mode: 0o600 });
  try {
    // link fails when another process was first: then its key is the key.
    linkSync(draft, path);
  } catch (error) {
    if (!isCode(error, 'EEXIST')) throw error;
  } finally {
    rmSync(draft, { force: true });
  }
  const made = readIfThere(path);
  if (made === undefined) throw new Error('the secret key could not be read back');
  return made;
}

function readIfThere(path: string): Uint8Array | undefined {
  try {
    return Buffer.from(readFileSync(path, 'utf8'), 'base64');
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
