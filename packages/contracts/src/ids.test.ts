import { expect, test } from '@jest/globals';
import { keyText } from './ids.ts';

test('a caller’s text of ordinary length is part of key names as it is', () => {
  for (const text of ['', 'a', 'c'.repeat(200), 'Ümläut 😀', 'a:b\nc']) {
    expect(keyText(text)).toBe(text);
  }
});

test('a longer one is hashed, differently for different texts, and only once', () => {
  const [one, other] = ['x'.repeat(201), `${'x'.repeat(100_000)}y`].map(keyText) as [
    string,
    string,
  ];
  expect(one).toMatch(/^sha256:[0-9a-f]{64}$/);
  expect(other).not.toBe(one);
  expect(keyText(one)).toBe(one);
});
