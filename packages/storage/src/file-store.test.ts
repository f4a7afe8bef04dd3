import { execFile } from 'node:child_process';
import {
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { NewOutput } from '@tiercel/contracts';
import { build } from 'esbuild';
import { FileStore } from './file-store.ts';

const run = promisify(execFile);
const bytes = (text: string): Uint8Array => Buffer.from(text);

let root: string;
let files: FileStore;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'tiercel-files-'));
  files = new FileStore(root);
});
afterEach(() => rm(root, { recursive: true, force: true }));

function output(prefix: string, changes: Partial<NewOutput> = {}): NewOutput {
  return { type: 'output', prefix, extension: '.png', bytes: bytes('x'), ...changes };
}

/** Regular files directly in a folder of the data folder. */
async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(join(root, folder), { withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name)
    .sort();
}

describe('an output that another program has named', () => {
  test('keeps its pattern; its numbers go on after those of all files of its stem', async () => {
    const numbered = output('v/a', { naming: { kind: 'numbered', after: '-x' } });
    await expect(files.saveOutput(numbered)).resolves.toMatchObject({ filename: 'a_00001-x.png' });
    await expect(files.saveOutput(output('v/a'))).resolves.toMatchObject({
      filename: 'a_00002_.png',
    });
    const restarted = new FileStore(root);
    const bare = output('v/a', { naming: { kind: 'numbered', after: '' } });
    await expect(restarted.saveOutput(bare)).resolves.toMatchObject({ filename: 'a_00003.png' });
    await expect(new FileStore(root).saveOutput(bare)).resolves.toMatchObject({
      filename: 'a_00004.png',
    });
  });

  test('keeps a name without a number while it is free, and is never put over another', async () => {
    const plain = output('mesh', { naming: { kind: 'plain' } });
    const names = await Promise.all([1, 2, 3].map(() => files.saveOutput(plain)));
    expect(names.map(({ filename }) => filename).sort()).toEqual([
      ...['mesh.png', 'mesh_00001_.png', 'mesh_00002_.png'],
    ]);
  });

  test('is not filled in: what looks like a placeholder is its name', async () => {
    const named = output('%year%/%width%', { naming: { kind: 'plain' } });
    await expect(files.saveOutput(named)).resolves.toMatchObject({
      ...{ subfolder: '%year%', filename: '%width%.png' },
    });
  });
});

describe('an output', () => {
  test('gets the next number of its prefix, in the folder that the prefix names', async () => {
    await expect(files.saveOutput(output('a/b/pre'))).resolves.toEqual({
      filename: 'pre_00001_.png',
      subfolder: 'a/b',
      type: 'output',
    });
    await expect(files.saveOutput(output('a/b/pre'))).resolves.toMatchObject({
      filename: 'pre_00002_.png',
    });
    await expect(files.saveOutput(output('pre', { type: 'temp' }))).resolves.toEqual({
      filename: 'pre_00001_.png',
      subfolder: '',
      type: 'temp',
    });
    expect(await filesIn('output/a/b')).toEqual(['pre_00001_.png', 'pre_00002_.png']);
  });

  test('goes on after the highest number that the folder holds, of any file type', async () => {
    await mkdir(join(root, 'output'));
    await writeFile(join(root, 'output', 'pre_00041_.webp'), '');
    await writeFile(join(root, 'output', 'prefix_00099_.png'), '');
    await expect(files.saveOutput(output('pre'))).resolves.toMatchObject({
      filename: 'pre_00042_.png',
    });
  });

  test('that comes in parts has a name when it is whole, and none when it breaks off', async () => {
    let go = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      go = resolve;
    });
    const parts = async function* (isWhole: boolean) {
      yield bytes('first ');
      await held;
      if (!isWhole) throw new Error('broken off');
      yield bytes('second');
    };
    const saved = files.saveOutput(output('sub/video', { bytes: parts(true) }));
    const broken = files.saveOutput(output('sub/video', { bytes: parts(false) }));
    await files.saveOutput(output('sub/video'));
    expect(await filesIn('output/sub')).toEqual(['video_00001_.png']);
    go();
    await expect(broken).rejects.toThrow('broken off');
    await expect(saved).resolves.toMatchObject({ filename: 'video_00002_.png' });
    expect(await filesIn('output/sub')).toEqual(['video_00001_.png', 'video_00002_.png']);
    expect(await readFile(join(root, 'output/sub/video_00002_.png'), 'utf8')).toBe('first second');
    expect(await filesIn('output/.tiercel-tmp')).toEqual([]);
  });

  test('has the time and the size in its name when the prefix asks for them', async () => {
    const named = output('%date:yyyy-MM-dd%/%width%x%height%', { width: 64, height: 32 });
    await expect(files.saveOutput(named, new Date(2026, 0, 2))).resolves.toMatchObject({
      filename: '64x32_00001_.png',
      subfolder: '2026-01-02',
    });
  });

  test.each([
    ['../x'],
    ['/etc/x'],
    ['a/../../x'],
    ['a\0b'],
    ['%2e%2e/x'],
    ['..%2fx'],
    ['%2e%2e%5cx'],
  ])('is refused when its prefix is %j', async (prefix) => {
    await expect(files.saveOutput(output(prefix))).rejects.toMatchObject({
      code: 'path_refused',
    });
  });

  test('is refused through a link that leads outside', async () => {
    await mkdir(join(root, 'output'));
    await symlink(tmpdir(), join(root, 'output', 'link'));
    await expect(files.saveOutput(output('link/x'))).rejects.toMatchObject({
      code: 'path_refused',
    });
  });

  test('with a name that no file system takes is refused, and nothing stays behind', async () => {
    await expect(files.saveOutput(output('x'.repeat(300)))).rejects.toMatchObject({
      code: 'bad_request',
    });
    await expect(files.saveOutput(output('x', { extension: '/../y' }))).rejects.toMatchObject({
      code: 'bad_request',
    });
    await expect(readdir(join(root, 'output')).catch(() => [])).resolves.toEqual([]);
  });

  test('is stored again after its folder was deleted', async () => {
    await files.saveOutput(output('sub/pre'));
    await rm(join(root, 'output'), { recursive: true });
    const ref = await files.saveOutput(output('sub/pre'));
    await expect(files.outputExists(ref)).resolves.toBe(true);
  });

  test('never shares a name with one of another process, and every number is used', async () => {
    const script = join(root, 'saver.mjs');
    await build({
      stdin: {
        contents: `import { FileStore } from './file-store.ts';
          const files = new FileStore(process.argv[2]);
          const saves = Array.from({ length: 60 }, (_, i) => files.saveOutput({
            type: 'output', prefix: 'sub/pre', extension: '.png',
            bytes: Buffer.from(process.argv[3] + ':' + i + ':' + 'x'.repeat(50_000)) }));
          const refs = await Promise.all(saves);
          process.stdout.write(JSON.stringify(refs.map((ref) => ref.filename)));`,
        resolveDir: import.meta.dirname,
        loader: 'ts',
      },
      outfile: script,
      bundle: true,
      platform: 'node',
      format: 'esm',
      conditions: ['source'],
      logLevel: 'error',
    });
    const results = await Promise.all(
      ['a', 'b', 'c'].map((name) => run(process.execPath, [script, root, name])),
    );
    const names = results.flatMap((result) => JSON.parse(result.stdout) as string[]);
    expect(new Set(names).size).toBe(180);
    expect([...names].sort()).toEqual(
      Array.from({ length: 180 }, (_, i) => `pre_${String(i + 1).padStart(5, '0')}_.png`),
    );
    const contents = await Promise.all(
      names.map((name) => readFile(join(root, 'output', 'sub', name), 'utf8')),
    );
    expect(new Set(contents).size).toBe(180);
    expect(contents.every((text) => text.length > 50_000)).toBe(true);
  });
});

describe('a stored file', () => {
  beforeEach(async () => {
    await mkdir(join(root, 'input', 'sub'), { recursive: true });
    await mkdir(join(root, 'temp'));
    await writeFile(join(root, 'input', 'a.png'), 'input');
    await writeFile(join(root, 'input', 'sub', 'b.png'), 'below');
    await writeFile(join(root, 'temp', 'a.png'), 'temp!');
  });

  test('is found by name, folder and type', async () => {
    await expect(
      files.find({ filename: 'b.png', subfolder: 'sub', type: 'input' }),
    ).resolves.toMatchObject({ path: join(root, 'input', 'sub', 'b.png'), size: 5 });
    await expect(files.find({ filename: 'a.png' })).resolves.toBeNull();
    await expect(files.find({ filename: 'sub', type: 'input' })).resolves.toBeNull();
    await expect(files.find({ filename: 'a.png/x', type: 'input' })).resolves.toBeNull();
    await expect(files.find({ filename: 'x'.repeat(300), type: 'input' })).resolves.toBeNull();
    await expect(files.find({ filename: '../temp/a.png', type: 'input' })).rejects.toMatchObject({
      code: 'path_refused',
    });
  });

  test('is read by its annotated name, as an input when nothing is annotated', async () => {
    const read = async (name: string) => Buffer.from(await files.readInput(name)).toString();
    await expect(read('a.png')).resolves.toBe('input');
    await expect(read('a.png [temp]')).resolves.toBe('temp!');
    await expect(read('sub/b.png [input]')).resolves.toBe('below');
  });

  test('that is not there is told by the name the caller used', async () => {
    const name = 'no.png [temp]';
    for (const read of [() => files.readInput(name), () => files.fingerprint(name)]) {
      await expect(read()).rejects.toMatchObject({
        code: 'ENOENT',
        message: 'No such file: no.png [temp]',
      });
    }
  });

  test('has a fingerprint that changes with the content only', async () => {
    const before = await files.fingerprint('a.png');
    await expect(files.fingerprint('a.png')).resolves.toBe(before);
    await writeFile(join(root, 'input', 'a.png'), 'other');
    await expect(files.fingerprint('a.png')).resolves.not.toBe(before);
  });

  test('is listed by name, or newest first', async () => {
    await writeFile(join(root, 'input', 'Z.png'), '');
    await writeFile(join(root, 'input', '.hidden'), '');
    await utimes(join(root, 'input', 'a.png'), 1000, 1000);
    await expect(files.listFiles('input')).resolves.toEqual(['.hidden', 'Z.png', 'a.png']);
    await expect(files.listFiles('input', 'newest')).resolves.toEqual(['Z.png', 'a.png']);
    await expect(files.listFiles('output')).resolves.toEqual([]);
  });

  test('is purged from temp when it is old, and only there', async () => {
    await files.saveOutput(output('sub/new', { type: 'temp' }));
    await utimes(join(root, 'temp', 'a.png'), 1000, 1000);
    await utimes(join(root, 'input', 'a.png'), 1000, 1000);
    await expect(files.purgeTemp(60_000)).resolves.toBe(1);
    expect(await filesIn('temp')).toEqual([]);
    expect(await filesIn('temp/sub')).toEqual(['new_00001_.png']);
    expect(await filesIn('input')).toEqual(['a.png']);
  });

  test('that a dead process left half-written is purged after some hours', async () => {
    const abandoned = await files.createUploadPath();
    const fresh = await files.createUploadPath();
    await writeFile(abandoned, '');
    await writeFile(fresh, '');
    await utimes(abandoned, 1000, 1000);
    await expect(files.purgeTemp(0)).resolves.toBe(2); // temp/a.png and the abandoned one
    await expect(readdir(join(root, 'input', '.tiercel-tmp'))).resolves.toHaveLength(1);
  });
});

describe('an upload', () => {
  async function upload(text: string, changes: Record<string, unknown> = {}) {
    const workPath = await files.writeUpload(bytes(text));
    return files.saveUpload({
      type: 'input',
      subfolder: '',
      filename: 'a.png',
      workPath,
      onExisting: 'rename',
      ...changes,
    });
  }

  test('keeps its name when it is new or the same again, and else gets a number', async () => {
    await expect(upload('one')).resolves.toEqual({ name: 'a.png', subfolder: '', type: 'input' });
    await expect(upload('one')).resolves.toMatchObject({ name: 'a.png' });
    await expect(upload('two')).resolves.toMatchObject({ name: 'a (1).png' });
    await expect(upload('six')).resolves.toMatchObject({ name: 'a (2).png' });
    await expect(upload('two')).resolves.toMatchObject({ name: 'a (1).png' });
    expect(await filesIn('input')).toEqual(['a (1).png', 'a (2).png', 'a.png']);
    await expect(readdir(join(root, 'input', '.tiercel-tmp'))).resolves.toEqual([]);
  });

  test('replaces a file of its name when told to', async () => {
    await upload('one');
    await expect(upload('two', { onExisting: 'replace' })).resolves.toMatchObject({
      name: 'a.png',
    });
    await expect(readFile(join(root, 'input', 'a.png'), 'utf8')).resolves.toBe('two');
  });

  test('goes into its sub-folder', async () => {
    await expect(upload('one', { subfolder: 'x/y', type: 'temp' })).resolves.toEqual({
      name: 'a.png',
      subfolder: 'x/y',
      type: 'temp',
    });
    expect(await filesIn('temp/x/y')).toEqual(['a.png']);
  });

  test('of the same name from many at once loses none', async () => {
    const texts = Array.from({ length: 20 }, (_, i) => `content ${i}`);
    const stored = await Promise.all(texts.map((text) => upload(text)));
    expect(new Set(stored.map(({ name }) => name)).size).toBe(20);
  });

  test.each([
    [{ filename: '../a.png' }],
    [{ filename: 'x/a.png' }],
    [{ filename: '' }],
    [{ filename: '..' }],
    [{ subfolder: '../..' }],
    [{ subfolder: '/tmp' }],
    [{ subfolder: '.tiercel-tmp' }],
  ])('is refused with %j, and leaves nothing', async (changes) => {
    await expect(upload('one', changes)).rejects.toMatchObject({ code: 'path_refused' });
    await expect(readdir(join(root, 'input', '.tiercel-tmp'))).resolves.toEqual([]);
  });
});
