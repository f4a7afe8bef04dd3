import { expect, test } from '@jest/globals';
import { evaluateExpression } from './math-expression.ts';

const names = new Map<string, number | boolean>([
  ['a', 7],
  ['b', 2],
  ['c', true],
]);

test.each<[text: string, value: number | boolean]>([
  ['a + b * 3', 13],
  ['(a + b) * 3', 27],
  ['a / b', 3.5],
  ['a // b', 3],
  ['-a // b', -4],
  ['-a % 3', 2],
  ['2 ** 3 ** 2', 512],
  ['-2 ** 2', -4],
  ['2 ** -1', 0.5],
  ['max(((a + 15) // 16) * 16, 256)', 256],
  ['floor(a / 32) * 32', 0],
  ['round(2.5) + round(3.5)', 6],
  ['round(1.2345, 2)', 1.23],
  ['min(a, b, 1.5) + abs(-4)', 5.5],
  ['sum(values)', 10],
  ['int(a / b)', 3],
  ['a > b', true],
  ['1 < b < a', true],
  ['1 < a < b', false],
  ['not a == 7 or b', 2],
  ['a if c and a > b else 0', 7],
  ['a if a < b else b if c else 0', 2],
  ['1e3 + .5', 1000.5],
  ['log(8, 2)', 3],
])('%s is %p', (text, value) => {
  const result = evaluateExpression(text, names);
  if (typeof value === 'number') expect(result).toBeCloseTo(value, 10);
  else expect(result).toBe(value);
});

test.each<[text: string, message: RegExp]>([
  ['', /empty/],
  ['a +', /ends too soon/],
  ['(a', /ends too soon/],
  ['a b', /"b" is not expected/],
  ['z + 1', /'z' is not defined/],
  ['constructor', /not defined/],
  ['toString()', /Function 'toString' not defined/],
  ['a; b', /cannot be read at ";/],
  ['1 / 0', /division by zero/],
  ['1 % 0', /division by zero/],
  ['10 ** 400', /no finite result/],
  ['sqrt(-1)', /no finite result/],
  ['('.repeat(500), /nested too deeply/],
  ['1+'.repeat(2000), /longer than/],
])('%s is refused', (text, message) => {
  expect(() => evaluateExpression(text, names)).toThrow(message);
});
