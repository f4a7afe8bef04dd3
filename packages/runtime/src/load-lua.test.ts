import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { loadLua } from './load-lua.ts';
import { RedisScript } from './redis-script.ts';

let room: string;

beforeEach(async () => {
  room = await mkdtemp(join(tmpdir(), 'tiercel-lua-'));
});
afterEach(() => rm(room, { recursive: true, force: true }));

async function write(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    const path = join(room, 'src', name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
  }
}

const wrapper = (path: string): string => pathToFileURL(join(room, path)).href;

/** Its lines, without comments. */
const codeOf = (text: string): string[] => text.split('\n').filter((line) => !/^(--|$)/.test(line));

describe('loadLua', () => {
  test('reads the script beside its wrapper, for a build from the sources', async () => {
    await write({ 'lua/go.lua': "-- Goes.\n\nreturn 'gone'\n" });
    const text = "-- Goes.\n\nreturn 'gone'";
    expect(loadLua(wrapper('src/lua/go.ts'))).toEqual({ name: 'go', text });
    expect(loadLua(wrapper('dist/lua/go.js'))).toEqual({ name: 'go', text });
  });

  test('puts what is included in its place, once, and what that includes before it', async () => {
    await write({
      'lua/go.lua': '-- Goes.\n\n-- @include left right\n-- @include left\nlast()\n',
      'lua/includes/left.lua': '-- @include base\nleft()\n',
      'lua/includes/right.lua': '-- @include base\n-- @include clock\nright(clock_us())\n',
      'lua/includes/base.lua': 'base()\n',
    });
    expect(codeOf(loadLua(wrapper('src/lua/go.ts')).text)).toEqual([
      'base()',
      'left()',
      'local function clock_us()',
      "  local at = redis.call('TIME')",
      '  return at[1] * 1000000 + at[2]',
      'end',
      'right(clock_us())',
      'last()',
    ]);
  });

  test('declares each name of a key that is used, once', async () => {
    await write({
      'lua/go.lua':
        '-- @include base\n-- @keys job tier_ms ready\nlast(tier_ms_key(1), job_key(2))\n',
      'lua/includes/base.lua':
        '-- @keys job pending\n-- @keys job_channel status_channel\ngo(pending_key, job_channel(3), status_channel)\n',
    });
    expect(codeOf(loadLua(wrapper('src/lua/go.ts')).text)).toEqual([
      "local function job_key(of) return prefix .. ':job:' .. of end",
      "local pending_key = prefix .. ':pending'",
      "local function job_channel(of) return prefix .. ':ch:job:' .. of end",
      "local status_channel = prefix .. ':ch:status'",
      'go(pending_key, job_channel(3), status_channel)',
      "local function tier_ms_key(of) return prefix .. ':tier:' .. of .. ':ms' end",
      'last(tier_ms_key(1), job_key(2))',
    ]);
  });

  test('leaves out locals of includes that nothing needs which stays', async () => {
    const shared = [
      'local MOST, LEAST = 2, 1',
      'local names = {',
      "  'MOST',",
      '}',
      'local function inner()',
      '  return LEAST',
      'end',
      '-- Calls inner().',
      'local function outer()',
      '',
      '  return outer(inner())',
      'end',
      'local function unused() return names, outer() end',
      'local later',
      'later = names -- unused',
    ];
    await write({
      'lua/go.lua': '-- @include base\nlocal own = outer()\nreturn 1\n',
      'lua/includes/base.lua': shared.join('\n'),
    });
    const isLeftOut = (line: string): boolean => line.startsWith('local function unused');
    expect(codeOf(loadLua(wrapper('src/lua/go.ts')).text)).toEqual([
      ...shared.filter((line) => line !== '' && !line.startsWith('--') && !isLeftOut(line)),
      ...['local own = outer()', 'return 1'],
    ]);

    await write({ 'lua/alone.lua': '-- @include base\nlocal own = MOST\nreturn 1\n' });
    expect(codeOf(loadLua(wrapper('src/lua/alone.ts')).text)).toEqual([
      ...shared.slice(0, 4),
      ...shared.slice(-2),
      ...['local own = MOST', 'return 1'],
    ]);
  });

  test.each<[what: string, files: Record<string, string>, message: RegExp]>([
    ['a script that is missing', {}, /The Lua script \S+\/src\/lua\/go\.lua is missing/],
    [
      'an include that is missing',
      { 'lua/go.lua': '-- @include nowhere' },
      /go\.lua includes nowhere, which is missing: \S+lua\/includes\/nowhere\.lua or \S+contracts\/src\/lua\/includes\/nowhere\.lua/,
    ],
    [
      'files that include one another',
      {
        'lua/go.lua': '-- @include one',
        'lua/includes/one.lua': '-- @include two',
        'lua/includes/two.lua': '-- @include one',
      },
      /include one another: \S+go\.lua -> \S+one\.lua -> \S+two\.lua -> \S+one\.lua/,
    ],
    [
      'a key without a name',
      { 'lua/go.lua': '-- @keys job attic' },
      /go\.lua: attic is not in NAMES/,
    ],
    ['a directive that there is not', { 'lua/go.lua': '-- @require x' }, /go\.lua: .* @require/],
  ])('names %s', async (_what, files, message) => {
    await write(files);
    expect(() => loadLua(wrapper('dist/lua/go.js'))).toThrow(message);
  });
});

describe('a script', () => {
  const definition = {
    keys: ['entry'],
    args: ['prefix', 'id'],
    list: 'rest',
    parse: Number,
  } as const;

  test('is not one when its header and its wrapper differ', async () => {
    const header = '-- KEYS[1] entry\n-- ARGV[1] prefix\n-- ARGV[2] id  a job\n-- ARGV[3..] rest\n';
    await write({
      'lua/fits.lua': `-- Goes.\n--\n${header}\nreturn 1\n`,
      'lua/swapped.lua': `-- Goes.\n${header.replace('prefix', 'x').replace('] id', '] prefix')}\nreturn 1\n`,
      'lua/short.lua': `-- Goes.\n${header.replace('-- ARGV[3..] rest\n', '')}\nreturn 1\n`,
    });
    const create = (name: string) => () =>
      new RedisScript({ wrapper: wrapper(`src/lua/${name}.ts`), ...definition });
    expect(create('fits')().source).toMatch(
      /^local entry, prefix, id, rest = KEYS\[1\], ARGV\[1\], ARGV\[2\], \{ unpack\(ARGV, 3\) \}\n/,
    );
    expect(create('swapped')).toThrow(/The header of swapped\.lua says .*ARGV\[2\] prefix/);
    expect(create('short')).toThrow(/its wrapper gives .*ARGV\[3\.\.\] rest/);
  });
});
