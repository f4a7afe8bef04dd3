import { describe, expect, test } from '@jest/globals';
import type { JsonValue } from '@tiercel/contracts';
import { coerceInput, CoercionError } from './index.ts';

describe('coerceInput', () => {
  test.each<[type: string, given: JsonValue, expected: JsonValue]>([
    ['INT', '64', 64],
    ['INT', ' -1_000\n', -1000],
    ['INT', '+007', 7],
    ['INT', 48.7, 48],
    ['INT', -48.7, -48],
    ['INT', -0.5, 0],
    ['INT', true, 1],
    ['INT', 18446744073709551615n, 18446744073709551615n],
    ['INT', '18446744073709551615', 18446744073709551615n],
    ['INT', 1e20, 100000000000000000000n],
    ['INT', { __value__: '5' }, 5],
    ['FLOAT', '1.5', 1.5],
    ['FLOAT', ' 1_0.5e-1 ', 1.05],
    ['FLOAT', '.5', 0.5],
    ['FLOAT', '5.', 5],
    ['FLOAT', '-Infinity', -Infinity],
    ['FLOAT', 'nan', NaN],
    ['FLOAT', 7, 7],
    ['FLOAT', false, 0],
    ['FLOAT', 9007199254740993n, 9007199254740992],
    ['STRING', 'as it is', 'as it is'],
    ['STRING', 5, '5'],
    ['STRING', 18446744073709551615n, '18446744073709551615'],
    ['STRING', 1.5, '1.5'],
    ['STRING', 1e-7, '1e-07'],
    ['STRING', true, 'True'],
    ['STRING', null, 'None'],
    ['STRING', { __value__: ['a', 1, null] }, "['a', 1, None]"],
    ['STRING', { a: "it's", b: { c: [] } }, `{'a': "it's", 'b': {'c': []}}`],
    ['BOOLEAN', 'false', true],
    ['BOOLEAN', '', false],
    ['BOOLEAN', 0, false],
    ['BOOLEAN', 0n, false],
    ['BOOLEAN', null, false],
    ['BOOLEAN', { __value__: [] }, false],
    ['BOOLEAN', {}, false],
    ['BOOLEAN', { a: 1 }, true],
    ['IMAGE', 'anything', 'anything'],
    ['IMAGE', { __value__: [1, 2] }, [1, 2]],
    ['IMAGE', { __value__: { __value__: 1 } }, { __value__: 1 }],
  ])('%s takes %p as %p', (type, given, expected) => {
    expect(coerceInput([type], given)).toEqual(expected);
  });

  test('a combo value stays what it is', () => {
    expect(coerceInput([['1', '2']], 1)).toBe(1);
    expect(coerceInput(['COMBO', { options: [1] }], '1')).toBe('1');
  });

  test.each<[type: string, given: JsonValue, exceptionType: string, message: string]>([
    ['INT', 'x', 'ValueError', "invalid literal for int() with base 10: 'x'"],
    ['INT', '1.5', 'ValueError', "invalid literal for int() with base 10: '1.5'"],
    ['INT', '1__0', 'ValueError', "invalid literal for int() with base 10: '1__0'"],
    ['INT', '', 'ValueError', "invalid literal for int() with base 10: ''"],
    ['INT', "it's", 'ValueError', 'invalid literal for int() with base 10: "it\'s"'],
    [
      'INT',
      null,
      'TypeError',
      "int() argument must be a string, a bytes-like object or a real number, not 'NoneType'",
    ],
    [
      'INT',
      { __value__: [1] },
      'TypeError',
      "int() argument must be a string, a bytes-like object or a real number, not 'list'",
    ],
    [
      'INT',
      {},
      'TypeError',
      "int() argument must be a string, a bytes-like object or a real number, not 'dict'",
    ],
    ['INT', Infinity, 'OverflowError', 'cannot convert float infinity to integer'],
    ['FLOAT', 'x', 'ValueError', "could not convert string to float: 'x'"],
    ['FLOAT', '1.5.2', 'ValueError', "could not convert string to float: '1.5.2'"],
    [
      'FLOAT',
      null,
      'TypeError',
      "float() argument must be a string or a real number, not 'NoneType'",
    ],
    ['FLOAT', 10n ** 400n, 'OverflowError', 'int too large to convert to float'],
  ])('%s refuses %p with a %s in the words of Python', (type, given, exceptionType, message) => {
    let caught: unknown;
    try {
      coerceInput([type], given);
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(CoercionError);
    expect(caught).toMatchObject({ exceptionType, message });
  });

  test('an integer text of a million digits is refused', () => {
    expect(() => coerceInput(['INT'], '9'.repeat(1_000_000))).toThrow(
      'Exceeds the limit (4300 digits)',
    );
    expect(() => coerceInput(['FLOAT'], `${'1'.repeat(1_000_000)}x`)).toThrow(CoercionError);
  });
});
