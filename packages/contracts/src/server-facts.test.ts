import { expect, test } from '@jest/globals';
import { mergeFeatures, mergeMembers, pickSystem } from './server-facts.ts';

test.each([
  [['0.33.0', '0.3.64'], '0.3.64'],
  [['0.4.0', '0.24.1', '0.4.0-rc1'], '0.4.0'],
  [['nightly', '0.38.1'], '0.38.1'],
])('of servers with the versions %j the oldest speaks for all', (versions, expected) => {
  const systems = versions.map((version) => ({
    ...{ comfyui_version: version, python_version: `python of ${version}` },
    ...{ argv: ['/home/somebody/main.py'], anything: 'else' },
  }));
  expect(pickSystem(systems)).toEqual({
    ...{ comfyui_version: expected, python_version: `python of ${expected}` },
  });
});

test('no server, no system', () => {
  expect(pickSystem([])).toBeUndefined();
});

test('a feature that any server has is there, nested ones too', () => {
  expect(
    mergeFeatures([
      { a: false, n: 1, extension: { manager: { supports_v4: false } }, only: true },
      { a: true, n: 2, extension: { manager: { supports_v4: true }, other: {} } },
    ]),
  ).toEqual({
    a: true,
    n: 1,
    extension: { manager: { supports_v4: true }, other: {} },
    only: true,
  });
});

test('of members that several have, the first counts', () => {
  expect(mergeMembers([{ a: 1 }, { a: 2, b: 3 }])).toEqual({ a: 1, b: 3 });
});
