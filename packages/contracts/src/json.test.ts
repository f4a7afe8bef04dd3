import { describe, expect, test } from '@jest/globals';
import { parseJson, stringifyJson } from './json.ts';
import { sliceMembers, toPythonJson } from './json-text.ts';

describe('lossless JSON', () => {
  test('64-bit integers survive a round trip digit for digit', () => {
    const text =
      '{"seed":18446744073709551615,"small":7,"list":[9007199254740993,-9223372036854775808]}';
    expect(stringifyJson(parseJson(text))).toBe(text);
  });

  test('integers that a double holds exactly stay numbers', () => {
    expect(parseJson('[9007199254740991,1,16777216000000000]')).toEqual([
      9007199254740991,
      1,
      16777216000000000n,
    ]);
  });

  test('long digit runs inside strings and fractions are left alone', () => {
    expect(parseJson('{"id":"12345678901234567890","f":0.12345678901234567}')).toEqual({
      id: '12345678901234567890',
      f: Number('0.12345678901234567'),
    });
  });

  test.each(['NaN', '{"a":Infinity}', '', '{', '[1,]', "{'a':1}"])('%j is refused', (text) => {
    expect(() => parseJson(text)).toThrow(SyntaxError);
  });

  test('deep nesting and endless numbers are refused before they cost anything', () => {
    expect(() => parseJson('['.repeat(100_000) + ']'.repeat(100_000))).toThrow(/nested/);
    expect(() => parseJson('9'.repeat(1_000_000))).toThrow(/digits/);
    expect(parseJson(`"${'['.repeat(1_000)}"`)).toBe('['.repeat(1_000));
  });

  test('megabytes of numbers just short of the limit are read in one pass', () => {
    // Looked at digit by digit from every digit, this would take minutes.
    const text = `[${Array.from({ length: 1_000 }, () => '9'.repeat(4_300)).join(',')}]`;
    expect(parseJson(text)).toHaveLength(1_000);
  });

  test('a member named __proto__ is a member like any other', () => {
    const value = parseJson('{"__proto__":{"polluted":true},"n":1}') as Record<string, unknown>;
    expect(Object.keys(value)).toContain('__proto__');
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });
});

describe('JSON as text', () => {
  test('members are sliced as they were written, in their order', () => {
    const text = '{ "b" : {"x":[1, "}" ,{"y":"\\\\"}]} , "a":1.0,"s":"q\\"}" ,"n":null}';
    expect([...sliceMembers(text)]).toEqual([
      ['b', '{"x":[1, "}" ,{"y":"\\\\"}]}'],
      ['a', '1.0'],
      ['s', '"q\\"}"'],
      ['n', 'null'],
    ]);
  });

  test('a repeated member keeps its last value, as JSON.parse does', () => {
    expect(sliceMembers('{"a":1,"a":2}').get('a')).toBe('2');
  });

  test('PNG text is spelled as Python spells it', () => {
    expect(toPythonJson('{"1":{"text":"Füchse, \\"rot\\": 🦊","w":[64,1.0]}}')).toBe(
      '{"1": {"text": "F\\u00fcchse, \\"rot\\": \\ud83e\\udd8a", "w": [64, 1.0]}}',
    );
  });

  test.each([
    ['7.0', '7.0'],
    ['1e-5', '1e-05'],
    ['0.00001', '1e-05'],
    ['1E3', '1000.0'],
    ['1.50', '1.5'],
    ['-0.0', '-0.0'],
    ['-0', '0'],
    ['1e22', '1e+22'],
    ['1e999', '1e999'],
    ['18446744073709551615', '18446744073709551615'],
    ['"1e-5, -0"', '"1e-5, -0"'],
  ])('PNG text spells the number %s as %s', (written, spelled) => {
    expect(toPythonJson(`{"a":[${written}],"b":${written}}`)).toBe(
      `{"a": [${spelled}], "b": ${spelled}}`,
    );
  });
});
