import { expect, test } from '@jest/globals';
import type { NewOutput } from '@tiercel/contracts';
import { encodePng } from '@tiercel/pictures';
import { countStoredPictures } from './count-stored-pictures.ts';

const png = await encodePng(
  { width: 4, height: 3, channels: 3, data: new Float32Array(36) },
  { level: 1, text: [], signal: new AbortController().signal },
);

test.each<[string, Partial<NewOutput>, readonly [number, number][]]>([
  ['a picture whose node tells its size', { bytes: png, width: 400, height: 300 }, [[1, 120_000]]],
  ['a picture whose node does not', { bytes: png }, [[1, 12]]],
  ['a text', { bytes: Buffer.from('a fox'), extension: '.txt' }, []],
])('%s is stored, and counts if it is one', async (_, output, expected) => {
  const counted: [number, number][] = [];
  const stored: NewOutput[] = [];
  const unused = () => Promise.reject(new Error('not asked'));
  const files = countStoredPictures(
    {
      saveOutput: (file) => {
        stored.push(file);
        return Promise.resolve({ filename: 'a', subfolder: '', type: 'output' });
      },
      ...{ readInput: unused, fingerprint: unused, outputExists: unused },
    },
    (images, pixels) => counted.push([images, pixels]),
  );
  await files.saveOutput({ type: 'output', prefix: 'a', extension: '.png', bytes: png, ...output });
  expect(stored).toHaveLength(1);
  expect(counted).toEqual(expected);
});
