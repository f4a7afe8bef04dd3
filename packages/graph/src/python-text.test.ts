import { expect, test } from '@jest/globals';
import type { JsonValue } from '@tiercel/contracts';
import { echoValue, pythonEquals, pythonRepr } from './python-text.ts';

test.each<[JsonValue, string]>([
  ['plain', "'plain'"],
  ["it's", `"it's"`],
  [`it's "both"`, `'it\\'s "both"'`],
  ['tab\tline\nback\\slash', `'tab\\tline\\nback\\\\slash'`],
  ['\u0000\u007f\u00a0\u200b', `'\\x00\\x7f\\xa0\\u200b'`],
  ['größe 图 😀', `'größe 图 😀'`],
  [[1, 2.5, 'a', true, null, { k: [] }], `[1, 2.5, 'a', True, None, {'k': []}]`],
])('%p prints as Python prints it: %s', (value, expected) => {
  expect(pythonRepr(value)).toBe(expected);
});

test.each<[JsonValue, JsonValue, boolean]>([
  [1, true, true],
  [18446744073709551615n, 18446744073709552000, false],
  [5n, 5, true],
  ['1', 1, false],
  [null, 0, false],
  [[1, ['a']], [true, ['a']], true],
  [[1], [1, 2], false],
  [{ a: 1, b: 2 }, { b: 2, a: 1 }, true],
  [{ a: 1 }, { toString: 1 }, false],
])('%p == %p is %p', (a, b, expected) => {
  expect(pythonEquals(a, b)).toBe(expected);
});

test('a value nested deeper than any writer can follow is echoed as text', () => {
  const deep = JSON.parse(`${'['.repeat(100_000)}${']'.repeat(100_000)}`) as JsonValue;
  expect(typeof echoValue(deep)).toBe('string');
  expect(pythonRepr(deep)).toContain('...');
});
