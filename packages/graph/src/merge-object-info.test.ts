import { expect, test } from '@jest/globals';
import type { InputSpec, NodeInfo, ObjectInfo } from '@tiercel/contracts';
import { mergeObjectInfo, validatePrompt, withAnyFile } from './index.ts';

function loader(spec: InputSpec): ObjectInfo {
  const info: NodeInfo = {
    ...{ name: 'Load', input: { required: { file: spec } }, output: [], output_node: true },
  };
  return { Load: info };
}

const takes = async (catalogues: readonly ObjectInfo[], file: unknown): Promise<boolean> => {
  const result = await validatePrompt(
    { 1: { class_type: 'Load', inputs: { file: file as string } } },
    { objectInfo: mergeObjectInfo(catalogues), fileExists: () => Promise.resolve(false) },
  );
  return result.ok;
};

const forms: readonly [string, (names: string[]) => InputSpec][] = [
  ['a list', (names) => [names]],
  ['a COMBO', (names) => ['COMBO', { options: names }]],
];

test.each(forms)('a file is refused only where all would refuse it (%s)', async (_, list) => {
  const [one, other] = [loader(list(['a'])), loader(list(['b']))];
  const any = loader(withAnyFile(list(['c'])));
  expect(await takes([one, other], 'b')).toBe(true);
  expect(await takes([one, other], 'mine')).toBe(false);
  for (const union of [[one, any], [any, one], [any]]) {
    expect(await takes(union, 'mine')).toBe(true);
    // Only a name can be a file.
    expect(await takes(union, 5)).toBe(false);
    expect(await takes(union, null)).toBe(false);
  }
});

test('the union still lists what each has', () => {
  const union = mergeObjectInfo([loader([['a']]), loader(withAnyFile([['b', 'a']]))]);
  expect(union.Load?.input.required?.file?.[0]).toEqual(['a', 'b']);
});
