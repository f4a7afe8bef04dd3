import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { JsonValue } from '@tiercel/contracts';
import { SettingsStore } from './settings-store.ts';
import { UserStore } from './user-store.ts';

let root: string;
let user: UserStore;
let folder: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'tiercel-user-'));
  folder = join(root, 'user', 'default');
  user = new UserStore(root);
});
afterEach(() => rm(root, { recursive: true, force: true }));

const set = (key: string, value: JsonValue | undefined) => new Map([[key, value]]);

describe('settings', () => {
  test('are empty at first and merge key by key', async () => {
    await expect(user.settings.read()).resolves.toEqual({});
    await user.settings.merge(
      new Map<string, JsonValue>([
        ['a', { x: 1 }],
        ['b', null],
      ]),
    );
    await user.settings.merge(set('a', [2]));
    await expect(user.settings.read()).resolves.toEqual({ a: [2], b: null });
    await user.settings.merge(set('a', undefined));
    await expect(user.settings.read()).resolves.toEqual({ b: null });
  });

  test('begin with those of a new system, which stay until they are changed', async () => {
    const { settings } = new UserStore(root, { initial: { greeted: true } });
    await expect(settings.read()).resolves.toEqual({ greeted: true });
    await settings.merge(set('a', 1));
    await expect(settings.read()).resolves.toEqual({ greeted: true, a: 1 });
    await settings.merge(set('greeted', undefined));
    await expect(settings.read()).resolves.toEqual({ a: 1 });
  });

  test('written by several processes at once lose no key', async () => {
    const stores = [0, 1, 2].map(() => new UserStore(root).settings);
    const writes = Array.from({ length: 90 }, (_, i) => stores[i % 3]!.merge(set(`key${i}`, i)));
    await Promise.all(writes);
    expect(Object.keys(await user.settings.read())).toHaveLength(90);
    await expect(readdir(folder)).resolves.toEqual(['.tiercel-tmp', 'comfy.settings.json']);
  });

  test('keep 64-bit numbers and keys that mean something to JavaScript', async () => {
    await user.settings.merge(set('__proto__', 18446744073709551615n));
    const stored = await readFile(join(folder, 'comfy.settings.json'), 'utf8');
    expect(stored).toBe('{"__proto__":18446744073709551615}');
    expect(Object.hasOwn(await user.settings.read(), '__proto__')).toBe(true);
  });

  test('can be written after a process died with the lock in hand', async () => {
    const workFolder = join(folder, '.tiercel-tmp');
    await mkdir(workFolder, { recursive: true });
    const lock = join(workFolder, 'comfy.settings.json.lock');
    await writeFile(lock, 'a dead process');
    await utimes(lock, 1000, 1000);
    const stores = [0, 1, 2].map(() => new UserStore(root).settings);
    await Promise.all(stores.map((store, i) => store.merge(set(`key${i}`, i))));
    await expect(user.settings.read()).resolves.toEqual({ key0: 0, key1: 1, key2: 2 });
    await expect(readdir(workFolder)).resolves.toEqual([]);
  });

  test('that cannot be read are set aside each time and not lost', async () => {
    const path = join(folder, 'comfy.settings.json');
    await mkdir(folder, { recursive: true });
    for (const broken of ['{"a": 1,', '[]', '']) {
      await writeFile(path, broken);
      await expect(user.settings.read()).resolves.toEqual({});
      await user.settings.merge(set('b', 2));
      await expect(user.settings.read()).resolves.toEqual({ b: 2 });
    }
    await expect(readFile(`${path}.unreadable`, 'utf8')).resolves.toBe('{"a": 1,');
    await expect(readFile(`${path}.unreadable-2`, 'utf8')).resolves.toBe('[]');
    await expect(readFile(`${path}.unreadable-3`, 'utf8')).resolves.toBe('');
  });

  test('that cannot be read are told of once, until they can be read again', async () => {
    let received = 0;
    const { settings } = new UserStore(root, { onUnreadable: () => (received += 1) });
    await mkdir(folder, { recursive: true });
    for (const expected of [1, 2]) {
      await writeFile(join(folder, 'comfy.settings.json'), 'null');
      await settings.read();
      await settings.read();
      await settings.merge(set('a', 1));
      await settings.read();
      expect(received).toBe(expected);
    }
  });

  test('have a largest size', async () => {
    const settings = new SettingsStore(folder, { maxBytes: 100 });
    await settings.merge(set('a', 1));
    await expect(settings.merge(set('b', 'x'.repeat(100)))).rejects.toMatchObject({
      code: 'body_too_large',
    });
    await expect(settings.read()).resolves.toEqual({ a: 1 });
  });
});

describe('user files', () => {
  const content = Buffer.from('{}');

  test('are written with their folders, read, moved and removed', async () => {
    await expect(user.files.exists()).resolves.toBe(false);
    await expect(user.files.write('workflows/a.json', content, 'refuse')).resolves.toMatchObject({
      path: 'workflows/a.json',
      size: 2,
    });
    await expect(user.files.exists()).resolves.toBe(true);
    await expect(user.files.write('workflows/a.json', content, 'refuse')).resolves.toBe('exists');
    await user.files.write('workflows/a.json', Buffer.from('[1]'), 'replace');
    await expect(user.files.find('workflows/a.json')).resolves.toMatchObject({ size: 3 });

    await expect(user.files.move('a.json', 'b.json', 'replace')).resolves.toBe('missing');
    await user.files.write('b.json', content, 'refuse');
    await expect(user.files.move('workflows/a.json', 'b.json', 'refuse')).resolves.toBe('exists');
    await expect(user.files.move('workflows/a.json', 'x/c.json', 'refuse')).resolves.toMatchObject({
      path: 'x/c.json',
      size: 3,
    });
    await expect(user.files.find('workflows/a.json')).resolves.toBeNull();

    await expect(user.files.remove('x/c.json')).resolves.toBe(true);
    await expect(user.files.remove('x/c.json')).resolves.toBe(false);
    await expect(user.files.remove('x')).resolves.toBe(false);
  });

  test('are listed by path without hidden ones, flat or with sub-folders', async () => {
    for (const name of ['w/b.json', 'w/.index.json', 'w/sub/a.json', 'w/A.json']) {
      await user.files.write(name, content, 'refuse');
    }
    const paths = (list: readonly { path: string }[] | null) => list?.map(({ path }) => path);
    expect(paths(await user.files.list('w', 'flat'))).toEqual(['A.json', 'b.json']);
    expect(paths(await user.files.list('w', 'recursive'))).toEqual([
      'A.json',
      'b.json',
      'sub/a.json',
    ]);
    await expect(user.files.list('nope', 'flat')).resolves.toBeNull();
  });

  test('are browsed with folders first', async () => {
    await expect(user.files.browse('')).resolves.toEqual([]);
    for (const name of ['w/b.json', 'w/sub/a.json', 'w/A.json']) {
      await user.files.write(name, content, 'refuse');
    }
    const entries = await user.files.browse('w');
    expect(entries).toMatchObject([
      { kind: 'directory', path: 'w/sub' },
      { kind: 'file', path: 'w/A.json' },
      { kind: 'file', path: 'w/sub/a.json' },
      { kind: 'file', path: 'w/b.json' },
    ]);
    await expect(user.files.browse('nope')).resolves.toBe('missing');
    await expect(user.files.browse('w/b.json')).resolves.toBe('not-a-directory');
  });

  test('whose content breaks off leave the old file as it was', async () => {
    await user.files.write('a.json', content, 'refuse');
    const broken = (async function* () {
      await Promise.resolve();
      yield Buffer.from('half');
      throw new Error('the client went away');
    })();
    await expect(user.files.write('a.json', broken, 'replace')).rejects.toThrow('went away');
    await expect(readFile(join(folder, 'a.json'), 'utf8')).resolves.toBe('{}');
    await expect(readdir(join(folder, '.tiercel-tmp'))).resolves.toEqual([]);
  });

  test('outside the user folder or with impossible names are refused', async () => {
    const refused = { code: 'path_refused' };
    await expect(user.files.write('../x', content, 'replace')).rejects.toMatchObject(refused);
    await expect(user.files.list('..', 'flat')).rejects.toMatchObject(refused);
    await expect(user.files.write('x'.repeat(300), content, 'replace')).rejects.toMatchObject({
      code: 'bad_request',
    });
    await user.files.write('dir/a.json', content, 'replace');
    await expect(user.files.write('dir', content, 'replace')).rejects.toMatchObject({
      code: 'bad_request',
    });
  });
});
