import { expect, test } from '@jest/globals';
import { fillTemplate, findMatches, type RegexOptions } from './python-regex.ts';

const plain: RegexOptions = { ignoreCase: false, multiline: false, dotAll: false };

function replaceAll(pattern: string, text: string, template: string, options = plain): string {
  let at = 0;
  const parts: string[] = [];
  for (const match of findMatches(pattern, text, options)) {
    parts.push(text.slice(at, match.index), fillTemplate(template, match));
    at = match.index + (match.groups[0] ?? '').length;
  }
  return [...parts, text.slice(at)].join('');
}

test.each<[pattern: string, text: string, template: string, result: string]>([
  ['(\\w+)-(\\w+)', 'left-right', '\\2-\\1', 'right-left'],
  ['(?P<head>\\w)(?P=head)', 'aab', '<\\g<head>>', '<a>b'],
  ['^```(?:json)?\\s*\\n?', '```json\n{}', '', '{}'],
  ['\\n?```\\s*$', '{}\n```\n', '', '{}'],
  ['\\Aa|b\\Z', 'aab', 'x', 'xax'],
  ['(?i)BOAT', 'a boat', 'ship', 'a ship'],
  ['\\-\\ ', 'a- b', '+', 'a+b'],
  ['.', '🙂!', 'x', 'xx'],
  ['$', 'end\n', '.', 'end.\n.'],
])('%s in %j', (pattern, text, template, result) => {
  expect(replaceAll(pattern, text, template)).toBe(result);
});

test('options mean what they mean in Python', () => {
  expect(replaceAll('^b$', 'a\nb\nc', 'x', { ...plain, multiline: true })).toBe('a\nx\nc');
  expect(replaceAll('a.b', 'a\nb', 'x', { ...plain, dotAll: true })).toBe('x');
  expect(replaceAll('A', 'a', 'x', { ...plain, ignoreCase: true })).toBe('x');
});

test('a pattern that cannot be read is named', () => {
  expect(() => findMatches('(', 'text', plain)).toThrow(/'\(' fails: it cannot be read/);
});

test('one that would take for ever is stopped, so that other jobs go on', () => {
  const startedAt = performance.now();
  expect(() => findMatches('(a+)+$', `${'a'.repeat(60)}!`, plain)).toThrow(/takes longer than/);
  expect(performance.now() - startedAt).toBeLessThan(2_000);
});
