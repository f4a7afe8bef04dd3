import { describe, expect, test } from '@jest/globals';
import { countJsonValues, JsonTooLargeError, parseJson, stringifyJson } from './json.ts';
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

  test('integers keep their digits wherever they stand, and nothing else is taken for one', () => {
    const long = '12345678901234567890';
    const text =
      `{"a":${long},"b":[-${long},[${long}],"${long}",0.${long},1e-${long},${long}e0,-0.${long}e-${long}],` +
      `"${long}":"x${long},${long}","__proto__":${long}}`;
    const value = parseJson(text) as Record<string, unknown>;
    expect(value.a).toBe(12345678901234567890n);
    expect(value.b).toEqual([
      ...[-12345678901234567890n, [12345678901234567890n], long, Number(`0.${long}`)],
      ...[0, Number(`${long}e0`), -0],
    ]);
    expect(value[long]).toBe(`x${long},${long}`);
    expect(Object.entries(value).at(-1)).toEqual(['__proto__', 12345678901234567890n]);
    expect(parseJson(long)).toBe(12345678901234567890n);
    expect(parseJson(` \n-${long} `)).toBe(-12345678901234567890n);
  });

  test.each([
    ['the name of a member', '{12345678901234567890:1}'],
    ['the name of a member, with a blank', '{"a":1, 12345678901234567890 \n: 1}'],
    ['a leading zero', '[01234567890123456789]'],
    ['two signs', '[--12345678901234567890]'],
    ['a plus', '[+12345678901234567890]'],
    ['what follows', '[12345678901234567890x]'],
    ['no comma', '["a"12345678901234567890]'],
  ])('a long integer is refused for %s, in the words of the parser', (_, text) => {
    let said = '';
    try {
      JSON.parse(text);
    } catch (error) {
      said = (error as Error).message;
    }
    expect(() => parseJson(text)).toThrow(new SyntaxError(said));
  });

  test('more values than somebody wants to hold are refused before they are made', () => {
    const list = (count: number) => `[${Array.from({ length: count }, () => '{}').join(',')}]`;
    expect(parseJson(list(100), { maxValues: 202 })).toHaveLength(100);
    expect(() => parseJson(list(200), { maxValues: 202 })).toThrow(JsonTooLargeError);
    expect(countJsonValues(list(100))).toBeGreaterThanOrEqual(101);
    expect(countJsonValues(JSON.stringify(','.repeat(1_000)))).toBe(1);
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
