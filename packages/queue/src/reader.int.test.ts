import { describe, expect, test } from '@jest/globals';
import { newJob, useQueueParts } from './queue.test-helpers.ts';

const parts = useQueueParts();

async function enqueue(sizes: readonly number[]): Promise<string[]> {
  const ids = sizes.map((_, n) => `j${n}`);
  for (const [n, size] of sizes.entries()) {
    await parts.producer.enqueue(newJob(`j${n}`, { extraText: `{"pad":"${'x'.repeat(size)}"}` }));
  }
  return ids;
}

async function readPages(ids: readonly string[]): Promise<string[][]> {
  const pages = [];
  for await (const page of parts.reader.streamRecords(ids)) pages.push(page.map(({ id }) => id));
  return pages;
}

const MB = 1_000_000;

describe('records for long answers', () => {
  test('come in the order that was asked for, those that are gone left out', async () => {
    const ids = await enqueue([1, 1, 1]);
    expect(await readPages(['no', ...ids, 'gone'])).toEqual([ids]);
    expect(await readPages([])).toEqual([]);
    expect(await readPages(['no', 'gone'])).toEqual([]);
  });

  test('come a few at a time when they are large, one at a time when they are very large', async () => {
    const ids = await enqueue([3 * MB, 0.5 * MB, 3 * MB, 9 * MB, 9 * MB, 10]);
    expect(await readPages(ids)).toEqual([['j0', 'j1'], ['j2'], ['j3'], ['j4'], ['j5']]);
  });

  test('come all the same when there are thousands of small ones', async () => {
    const ids = await enqueue(Array<number>(1_001).fill(10));
    const pages = await readPages(ids);
    expect(pages.flat()).toEqual(ids);
    expect(pages.length).toBeLessThan(10);
  });
});
