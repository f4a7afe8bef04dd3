import { expect, test } from '@jest/globals';
import { readPythonJson } from './comfy-wire.ts';

test('JSON is read as it is, with every digit, and its text is kept', () => {
  const text = '{"seed": 18446744073709551615, "x": 1.0}';
  expect(readPythonJson(text)).toEqual({ value: { seed: 18446744073709551615n, x: 1 }, text });
});

test("Python's words for numbers become null, but not inside strings", () => {
  const text = String.raw`{"a": [NaN, -Infinity], "b": "NaN \" Infinity", "n": 18446744073709551615}`;
  const read = readPythonJson(text);
  expect(read.value).toEqual({
    a: [null, null],
    b: 'NaN " Infinity',
    n: 18446744073709551615n,
  });
  expect(read.text).toBe(text.replace('[NaN, -Infinity]', '[null, null]'));
});

test.each(['', 'NaN NaN', '{"a":', 'Infinite', '<html>NaN</html>'])('%j is not JSON', (text) => {
  expect(() => readPythonJson(text)).toThrow(SyntaxError);
});
