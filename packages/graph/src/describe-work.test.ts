import { expect, test } from '@jest/globals';
import { describeWork } from './describe-work.ts';
import { readNodes } from './graph-nodes.ts';

const describe = (prompt: Parameters<typeof readNodes>[0]) => describeWork(readNodes(prompt));
const node = (class_type: string, inputs = {}) => ({ class_type, inputs });

test('work is steps of all samplings x the largest picture x the largest batch', () => {
  const work = describe({
    '1': node('EmptyLatentImage', { width: 1000, height: 2000, batch_size: 3 }),
    '2': node('KSampler', { steps: 20, latent_image: ['1', 0] }),
    '3': node('KSampler', { steps: 10, latent_image: ['2', 0] }),
    '4': node('ImageScale', { width: 10, height: ['9', 0] }),
  });
  expect(work.classes).toEqual(['EmptyLatentImage', 'ImageScale', 'KSampler']);
  expect(work.amount).toBe(30 * 2 * 3);
});

test.each([
  [{}],
  [{ '1': node('A', { steps: ['2', 0], width: 'wide', height: -5, batch_size: 1e300 }) }],
  [[]],
])('what is not given as a number counts as one: %j', (prompt) => {
  expect(describe(prompt).amount).toBe(1);
});
