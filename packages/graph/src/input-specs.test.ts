import { expect, test } from '@jest/globals';
import type { NodeInfo } from '@tiercel/contracts';
import { inputSpecs, isUploadInput } from './index.ts';

function nodeInfo(input: unknown): NodeInfo {
  // Catalogues come from other programs and may hold anything.
  return { name: 'Test', output: [], output_node: false, input: input as NodeInfo['input'] };
}

test('required inputs come first, hidden ones not at all, and a repeated name is required', () => {
  const info = nodeInfo({
    optional: { mask: ['MASK'], image: ['IMAGE'] },
    required: { image: ['IMAGE', { tooltip: 'x' }] },
    hidden: { prompt: 'PROMPT' },
  });
  expect(inputSpecs(info)).toEqual([
    { name: 'image', section: 'required', spec: ['IMAGE', { tooltip: 'x' }] },
    { name: 'mask', section: 'optional', spec: ['MASK'] },
  ]);
});

test.each([[undefined], [null], ['x'], [{ required: null }], [{ required: [] }]])(
  'a class whose input is %p declares nothing',
  (input) => {
    expect(inputSpecs(nodeInfo(input))).toEqual([]);
  },
);

test('what is not a spec takes any value', () => {
  const info = nodeInfo({ required: { a: 'IMAGE', b: [], c: [7], d: ['INT', 'x'] } });
  expect(inputSpecs(info).map(({ spec }) => spec)).toEqual([['*'], ['*'], ['*'], ['INT']]);
});

test('upload inputs are known by their flag', () => {
  expect(isUploadInput([['a.png'], { image_upload: true }])).toBe(true);
  expect(isUploadInput(['COMBO', { video_upload: true, options: [] }])).toBe(true);
  expect(isUploadInput([[], { audio_upload: true }])).toBe(true);
  expect(isUploadInput([[], { file_upload: true }])).toBe(true);
  expect(isUploadInput([['a.png'], { image_upload: false }])).toBe(false);
  expect(isUploadInput([['a.png']])).toBe(false);
});
