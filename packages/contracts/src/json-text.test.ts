import { expect, test } from '@jest/globals';
import { pythonFloat } from './json-text.ts';

test.each<[number, string]>([
  [1, '1.0'],
  [0.1, '0.1'],
  [1e15, '1000000000000000.0'],
  [1e16, '1e+16'],
  [1.5e300, '1.5e+300'],
  [0.0001, '0.0001'],
  [0.00001, '1e-05'],
  [-0, '-0.0'],
  [-Infinity, '-inf'],
])('the float %p prints as %s', (value, expected) => {
  expect(pythonFloat(value)).toBe(expected);
});
