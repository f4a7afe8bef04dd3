import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { connectRedis, createLogger, RedisScript, type Redis } from '@tiercel/runtime';
import { startTestRedis, stopEverything } from '@tiercel/testkit';

/** Every Lua script of the house: it compiles, and its header says what its wrapper hands over. */

type AnyScript = Pick<
  RedisScript<string, unknown, string>,
  'name' | 'keys' | 'args' | 'list' | 'source'
>;

const ROOT = join(import.meta.dirname, '..');
const files = ['packages', 'apps']
  .flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((name) =>
      join(ROOT, folder, name),
    ),
  )
  .filter((file) => /[/\\]src[/\\].*(?<!\.test)\.ts$/.test(file) && !file.includes('node_modules'))
  .filter((file) => readFileSync(file, 'utf8').includes('new RedisScript('));

let redis: Redis;
let scripts: [file: string, script: AnyScript][];

beforeAll(async () => {
  const log = createLogger({ level: 'silent', name: 'test' });
  redis = connectRedis((await startTestRedis()).url, 'patient', log);
  scripts = [];
  // One after the other: Jest cannot load modules that share imports at the same time.
  for (const file of files) {
    const exports = (await import(file)) as Record<string, unknown>;
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
    expect(scripts.map(([file]) => file).sort()).toEqual([...files].sort());
    expect(files.length).toBeGreaterThan(20);
    const names = scripts.map(([, { name }]) => name);
    expect([...new Set(names)]).toEqual(names);
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
    for (const [, { name, keys, args, list, source }] of scripts) {
      const [, ...text] = source.split('\n');
      const header = text.slice(
        0,
        text.findIndex((line) => !line.startsWith('--')),
      );
      const told = header.flatMap(
        (line) => /^-- ((?:KEYS|ARGV)\[\d+(?:\.\.)?\] \w+)/.exec(line)?.[1] ?? [],
      );
      expect([name, ...told]).toEqual([
        name,
        ...keys.map((key, i) => `KEYS[${i + 1}] ${key}`),
        ...args.map((arg, i) => `ARGV[${i + 1}] ${arg}`),
        ...(list === undefined ? [] : [`ARGV[${args.length + 1}..] ${list}`]),
      ]);
    }
  });

  test('know their keys and arguments by name only', () => {
    for (const [, { name, source }] of scripts) {
      const [, ...text] = source.split('\n');
      const numbered = text.filter(
        (line) => !line.startsWith('--') && /\b(KEYS|ARGV)\b/.test(line),
      );
      expect([name, ...numbered]).toEqual([name]);
    }
  });
});
