import { expect, test } from '@jest/globals';
import { describeDemand } from './describe-demand.ts';
import { readNodes } from './graph-nodes.ts';

const describe = (prompt: Parameters<typeof readNodes>[0]) => describeDemand(readNodes(prompt));
const node = (class_type: string, inputs = {}) => ({ class_type, inputs });

test('the largest picture and batch count, and every class', () => {
  expect(
    describe({
      '1': node('EmptyLatentImage', { width: 1000, height: 2000, batch_size: 3 }),
      '2': node('RepeatLatentBatch', { samples: ['1', 0], amount: 4 }),
      '3': node('ImageScale', { width: 10, height: 10, amount: 100 }),
    }),
  ).toEqual({
    classes: [
      { name: 'EmptyLatentImage', nodeId: '1' },
      { name: 'RepeatLatentBatch', nodeId: '2' },
      { name: 'ImageScale', nodeId: '3' },
    ],
    ...{ pixels: 2_000_000, pictures: 12 },
  });
});

test('a number is one however it is written, and wherever it comes from', () => {
  const { pixels, pictures } = describe({
    '1': node('EmptyLatentImage', { width: '9000', height: ['2', 0], batch_size: ' 7 ' }),
    '2': node('Reroute', { value: ['3', 0] }),
    '3': node('PrimitiveInt', { value: 2_000_000 }),
  });
  expect([pixels, pictures]).toEqual([9000 * 2_000_000, 7]);
});

test('links in a circle, nodes that are none, and values that are none ask for nothing', () => {
  const prompt = {
    '1': node('A', { width: ['2', 0], height: 'high', batch_size: -3 }),
    '2': node('B', { value: ['2', 0] }),
    ...{ '3': null, '4': 'x', '5': { class_type: 'C' } },
  };
  expect(describe(prompt)).toMatchObject({ pixels: 0, pictures: 1 });
  expect(describe([])).toEqual({ classes: [], pixels: 0, pictures: 1 });
});
