import { expect, test } from '@jest/globals';
import type { JsonValue } from '@tiercel/contracts';
import { typesMatch } from './check-input.ts';

test.each<[received: JsonValue, expected: JsonValue, answer: boolean]>([
  ['IMAGE', 'IMAGE', true],
  ['MASK', 'IMAGE', false],
  ['*', 'IMAGE', true],
  ['IMAGE', '*', true],
  ['INT', 'FLOAT', false],
  ['INT,FLOAT', 'FLOAT', true],
  ['INT', 'FLOAT, INT', true],
  ['INT,FLOAT', 'STRING,BOOLEAN', false],
  ['INT,*', 'IMAGE', true],
  ['IMAGE', 'MASK,*', true],
  ['COMFY_MATCHTYPE_V3', 'IMAGE', true],
  [['a', 'b'], ['a', 'b'], true],
  [['a'], ['a', 'b'], false],
  ['COMBO', ['a', 'b'], false],
  ['STRING', ['a', 'b'], false],
  [['a'], '*', true],
])('an output %p linked to an input %p: %p', (received, expected, answer) => {
  expect(typesMatch(received, expected)).toBe(answer);
});
