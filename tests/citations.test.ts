import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';

/** What comments and documents cite by number has to be in docs/wire.md, and a file that they name in the repository. */

const ROOT = join(import.meta.dirname, '..');
const page = readFileSync(join(ROOT, 'docs/wire.md'), 'utf8');
const [, promises = ''] = page.split('\n## Invariants');

/** Numbers that the page has, by the word that they are cited with. */
const KNOWN: Readonly<Record<string, ReadonlySet<string>>> = {
  wire: collect(page, /^## (\d+)\. |\*\*(\d+\.\d+)\*\*/gm),
  invariant: collect(promises, /^(\d+)\. /gm),
  recording: collect(promises, /\b(\d\d)-[a-z]/g),
};
const CITATION =
  /\b(wire|invariant|recording)s? (\d+(?:\.\d+)?(?:(?:, | to | and )\d+(?:\.\d+)?)*)/gi;

const files = ['apps', 'bench', 'docs', 'packages', 'scripts', 'tests']
  .flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((name) =>
      join(folder, name),
    ),
  )
  .filter((file) => /\.(ts|mjs|lua|md)$/.test(file) && !/node_modules|[/\\]dist[/\\]/.test(file));

function collect(text: string, regex: RegExp): ReadonlySet<string> {
  return new Set([...text.matchAll(regex)].flatMap(([, ...groups]) => groups.filter(Boolean)));
}

describe('a citation of docs/wire.md', () => {
  test('names a fact, an invariant or a recording that is there', () => {
    let count = 0;
    const missing = files.flatMap((file) => {
      // A comment may break anywhere.
      const text = readFileSync(join(ROOT, file), 'utf8').replace(
        /\s*\n\s*(?:\*|\/\/|--)?\s*/g,
        ' ',
      );
      return [...text.matchAll(CITATION)].flatMap(([whole, word = '', list = '']) => {
        count += 1;
        const known = KNOWN[word.toLowerCase()];
        return list.split(/, | to | and /).every((number) => known?.has(number))
          ? []
          : [`${file}: ${whole}`];
      });
    });
    expect(missing).toEqual([]);
    expect(count).toBeGreaterThan(50);
  });

  test('names tests that are there, where the page says what holds an invariant', () => {
    const named = [...promises.matchAll(/`([\w./-]+\.test\.ts)`(?:: ("[^;.]+"))?/g)];
    expect(named.length).toBeGreaterThan(10);
    for (const [, file = '', titles = ''] of named) {
      const path = join(ROOT, file.includes('/') ? file : `tests/e2e/${file}`);
      const source = readFileSync(path, 'utf8').replaceAll('’', "'").toLowerCase();
      for (const [, title = ''] of titles.matchAll(/"([^"]+)"/g)) {
        expect(source).toContain(title.replaceAll('’', "'").toLowerCase());
      }
    }
  });
});

describe('a file that a document names by its path', () => {
  const FILE = /`((?:apps|bench|deploy|docs|packages|scripts|tests)\/[\w./-]+\.\w+)`/g;

  test('is there', () => {
    let count = 0;
    const missing = ['README.md', ...files.filter((file) => file.endsWith('.md'))].flatMap((file) =>
      [...readFileSync(join(ROOT, file), 'utf8').matchAll(FILE)].flatMap(([, path = '']) => {
        count += 1;
        return isFile(path) ? [] : [`${file}: ${path}`];
      }),
    );
    expect(missing).toEqual([]);
    expect(count).toBeGreaterThan(40);
  });

  test('is the one answer to each question of "Where do I look for"', () => {
    const architecture = readFileSync(join(ROOT, 'docs/architecture.md'), 'utf8');
    const [, section = ''] = /\n## Where do I look for\n(.*?)\n## /s.exec(architecture) ?? [];
    const rows = section.split('\n').filter((line) => line.startsWith('|'));
    const answers = rows.slice(2).map((row) => / \| `([^` ]+)` +\|$/.exec(row)?.[1] ?? row);
    expect(answers.filter((path) => !isFile(path))).toEqual([]);
    expect(new Set(answers).size).toBe(answers.length);
    expect(answers.length).toBeGreaterThanOrEqual(40);
  });
});

function isFile(path: string): boolean {
  return statSync(join(ROOT, path), { throwIfNoEntry: false })?.isFile() === true;
}
