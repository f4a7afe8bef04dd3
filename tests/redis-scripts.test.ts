import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { connectRedis, createLogger, RedisScript, type Redis } from '@tiercel/runtime';
import { startTestRedis, stopEverything } from '@tiercel/testkit';

/**
 * Every Lua file of the house: a script compiles and its header says what its wrapper hands over; an include is
 * included; both get the time and the names of keys from the one place that has them.
 */

type AnyScript = Pick<
  RedisScript<string, unknown, string>,
  'name' | 'keys' | 'args' | 'list' | 'source'
>;

const ROOT = join(import.meta.dirname, '..');
const sources = ['packages', 'apps']
  .flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((name) =>
      join(folder, name),
    ),
  )
  .filter((file) => /[/\\]src[/\\]/.test(file) && !/[/\\](node_modules|dist)[/\\]/.test(file));
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

const typescript = sources.filter((file) => /(?<!\.test)\.ts$/.test(file));
const wrappers = typescript.filter((file) => read(file).includes('new RedisScript('));
const luaFiles = sources.filter((file) => file.endsWith('.lua'));
const isInclude = (file: string): boolean => basename(dirname(file)) === 'includes';
const scriptFiles = luaFiles.filter((file) => !isInclude(file));
const includes = luaFiles.filter(isInclude);

const nameOf = (file: string): string => basename(file).replace(/\.\w+$/, '');

/** What a file's lines `-- @<directive> a b` name. */
const namedBy = (file: string, directive: string): string[] =>
  [...read(file).matchAll(new RegExp(`^-- @${directive} (.*)$`, 'gm'))].flatMap(([, names = '']) =>
    names.split(' '),
  );

/** Without comments. */
const codeOf = (file: string): string => read(file).replaceAll(/--.*$/gm, '');

const headerOf = (file: string): string[] => {
  const lines = read(file).split('\n');
  return lines.slice(
    0,
    lines.findIndex((line) => !line.startsWith('--')),
  );
};

let redis: Redis;
let scripts: [wrapper: string, script: AnyScript][];

beforeAll(async () => {
  const log = createLogger({ level: 'silent', name: 'test' });
  redis = connectRedis((await startTestRedis()).url, 'patient', log);
  scripts = [];
  // One after the other: Jest cannot load modules that share imports at the same time.
  for (const file of wrappers) {
    const exports = (await import(join(ROOT, file))) as Record<string, unknown>;
    for (const value of Object.values(exports)) {
      if (value instanceof RedisScript) scripts.push([file, value]);
    }
  }
});
afterAll(async () => {
  redis.disconnect();
  await stopEverything();
});

describe('the scripts of the house', () => {
  test('are each alone in an exported constant of a file, under a name of its own', () => {
    expect(scripts.map(([file]) => file).sort()).toEqual([...wrappers].sort());
    expect(wrappers.length).toBeGreaterThan(20);
    const names = scripts.map(([, { name }]) => name);
    expect([...new Set(names)]).toEqual(names);
    expect(names).toEqual(scripts.map(([file]) => `tiercel.${nameOf(file)}`));
  });

  test('are each a Lua file beside its wrapper', () => {
    const beside = wrappers.map((file) => file.replace(/\.ts$/, '.lua'));
    expect([...scriptFiles].sort()).toEqual(beside.sort());
  });

  test('compile', async () => {
    for (const [, { name, source }] of scripts) {
      const sha = await redis
        .call('SCRIPT', 'LOAD', source)
        .catch((error: unknown) => `${name}: ${String(error)}`);
      expect(sha).toMatch(/^[0-9a-f]{40}$/);
    }
  });

  test('begin with a header that numbers what the wrapper hands over, in its order', () => {
    for (const [file, { name, keys, args, list }] of scripts) {
      const numbered = headerOf(file.replace(/\.ts$/, '.lua')).flatMap(
        (line) => /^-- ((?:KEYS|ARGV)\[\d+(?:\.\.)?\] \w+)/.exec(line)?.[1] ?? [],
      );
      expect([name, ...numbered]).toEqual([
        name,
        ...keys.map((key, i) => `KEYS[${i + 1}] ${key}`),
        ...args.map((arg, i) => `ARGV[${i + 1}] ${arg}`),
        ...(list === undefined ? [] : [`ARGV[${args.length + 1}..] ${list}`]),
      ]);
    }
  });

  test('say in it what they do, what they return, and what they do when they are sent again', () => {
    for (const file of scriptFiles) {
      const header = headerOf(file);
      expect([file, header[0]]).toEqual([file, expect.stringMatching(/^-- [A-Z]/)]);
      for (const word of ['Returns ', 'Sent again: ']) {
        const lines = header.filter((line) => line.startsWith(`-- ${word}`));
        expect([file, word, lines.length]).toEqual([file, word, 1]);
      }
    }
  });

  test('are one script a file: there is one header, at the top', () => {
    for (const file of luaFiles) {
      const headers = read(file).match(/^-- (KEYS|ARGV)\[1(\.\.)?\]/gm) ?? [];
      const kinds = new Set(headers.map((line) => line.slice(3, 7)));
      expect([file, headers.length]).toEqual([file, isInclude(file) ? 0 : kinds.size]);
    }
  });

  test('know their keys and arguments by name only', () => {
    for (const file of luaFiles) {
      const numbered = codeOf(file).match(/^.*\b(KEYS|ARGV)\b.*$/gm) ?? [];
      expect([file, ...numbered]).toEqual([file]);
    }
  });
});

describe('what they include', () => {
  test('is found by one name, and used', () => {
    const names = includes.map(nameOf);
    expect([...new Set(names)]).toEqual(names);
    const wanted = new Set(luaFiles.flatMap((file) => namedBy(file, 'include')));
    expect([...wanted].sort()).toEqual([...names].sort());
  });

  test('is named by each file that uses it', () => {
    // A file that leans on what another one includes breaks when that one changes.
    const owners = new Map([['now', 'now']]);
    for (const file of includes) {
      for (const [, name = ''] of codeOf(file).matchAll(/^local function (\w+)/gm)) {
        expect([file, name, owners.get(name)]).toEqual([file, name, undefined]);
        owners.set(name, nameOf(file));
      }
    }
    for (const file of luaFiles) {
      const code = codeOf(file);
      const used = [...code.matchAll(/(?<![.\w])(\w+)\(|\b(now)\b/g)].flatMap(
        ([, called, variable]) => {
          const owner = owners.get(called ?? variable ?? '');
          return owner === undefined || owner === nameOf(file) ? [] : [owner];
        },
      );
      const missing = used.filter((name) => !namedBy(file, 'include').includes(name));
      expect([file, ...new Set(missing)]).toEqual([file]);
    }
  });
});

describe('names of keys', () => {
  test('are asked for by each file that uses them, and no others', () => {
    for (const file of luaFiles) {
      const used = [...codeOf(file).matchAll(/\b(\w+)_key\b|\b(\w+_channel)\b/g)].map(
        ([, key, channel]) => key ?? channel,
      );
      expect([file, ...[...new Set(used)].sort()]).toEqual([file, ...namedBy(file, 'keys').sort()]);
    }
  });

  test('are spelled in no script', () => {
    for (const file of luaFiles) {
      expect([file, codeOf(file).match(/\bprefix\b.*/g)]).toEqual([file, null]);
    }
  });
});

describe('the time', () => {
  test("is Redis' own, in every script", () => {
    for (const file of luaFiles) {
      expect([file, codeOf(file).match(/\bos\.\w+/g)]).toEqual([file, null]);
    }
    for (const [, { name, args }] of scripts) {
      expect([name, ...args.filter((arg) => /(^|_)now(_|$)/.test(arg))]).toEqual([name]);
    }
  });

  test('is handed to none of them by its caller', () => {
    const calls = typescript.flatMap((file) =>
      [...read(file).matchAll(/\b\w+Script\.run\([^;]*;/g)].map(([call]) => [file, call] as const),
    );
    expect(calls.length).toBeGreaterThan(20);
    for (const [file, call] of calls) {
      // A difference of two readings of one clock is a duration.
      const times = call.match(
        /(?<! - (this\.#?)?)\b(Date|performance|\w*[cC]lock)\.now\(\)(?! - )/g,
      );
      expect([file, times]).toEqual([file, null]);
    }
  });
});
