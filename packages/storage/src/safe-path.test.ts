import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { resolveInside } from './safe-path.ts';

let base: string;
let root: string;

beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'tiercel-paths-'));
  root = join(base, 'root');
  await mkdir(join(root, 'sub'), { recursive: true });
  await mkdir(join(base, 'outside'));
  await writeFile(join(base, 'outside', 'secret.txt'), 'secret');
});
afterEach(() => rm(base, { recursive: true, force: true }));

describe('a path below a folder', () => {
  test.each([
    ['../x'],
    ['a/../../x'],
    ['a/..'],
    ['/etc/passwd'],
    ['..\\x'],
    ['\\\\server\\share'],
    ['C:\\x'],
    ['c:/x'],
    ['a\\..\\..\\x'],
    ['.tiercel-tmp\\x'],
    ['a\0b'],
    ['%2e%2e%2fx'],
    ['%2E%2E/x'],
    ['%252e%252e%252fx'],
    ['..%5cx'],
    ['a%00b'],
    ['%2fetc'],
    ['.tiercel-tmp/x'],
  ])('is refused when it is %j', async (part) => {
    await expect(resolveInside(root, part)).rejects.toMatchObject({ code: 'path_refused' });
    await expect(resolveInside(root, 'sub', part)).rejects.toMatchObject({ code: 'path_refused' });
  });

  test.each([
    ['a.png'],
    ['sub/deep/a.png'],
    ['100%.png'],
    ['a..b.png'],
    ['猫 "1".png'],
    ['%41.png'],
  ])('is taken literally when it is %j', async (part) => {
    await expect(resolveInside(root, part)).resolves.toBe(join(root, part));
  });

  test.each([
    ['sub\\deep\\a.png', 'sub/deep/a.png'],
    ['sub\\deep/a.png', 'sub/deep/a.png'],
    ['sub\\', 'sub'],
  ])('may be written as on Windows: %j', async (part, meant) => {
    await expect(resolveInside(root, part)).resolves.toBe(join(root, meant));
  });

  test('may not pass through a symbolic link that leads outside', async () => {
    await symlink(join(base, 'outside'), join(root, 'link'));
    await symlink(join(base, 'outside', 'secret.txt'), join(root, 'secret.txt'));
    for (const part of ['link/secret.txt', 'link/new.txt', 'secret.txt']) {
      await expect(resolveInside(root, part)).rejects.toMatchObject({ code: 'path_refused' });
    }
  });

  test('may pass through a symbolic link that stays inside, and the folder itself may be a link', async () => {
    await symlink(join(root, 'sub'), join(root, 'alias'));
    await symlink(root, join(base, 'root-link'));
    await expect(resolveInside(root, 'alias/a.png')).resolves.toBe(join(root, 'alias/a.png'));
    const linked = join(base, 'root-link');
    await expect(resolveInside(linked, 'sub/a.png')).resolves.toBe(join(linked, 'sub/a.png'));
  });

  test('may name what does not exist yet, even the folder itself', async () => {
    const missing = join(base, 'missing');
    await expect(resolveInside(missing, 'a/b.png')).resolves.toBe(join(missing, 'a/b.png'));
  });
});
