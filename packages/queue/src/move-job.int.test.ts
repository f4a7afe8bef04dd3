import { expect, test } from '@jest/globals';
import { useQueueParts } from './queue.test-helpers.ts';

/** A job gets another place among those of its tenant. */

const parts = useQueueParts();

const take = async (count: number): Promise<(string | undefined)[]> => {
  const ids: (string | undefined)[] = [];
  for (let i = 0; i < count; i += 1) {
    const job = await parts.take();
    ids.push(job?.id);
    if (job !== undefined) await parts.finish(job);
  }
  return ids;
};

test('to the front, before all that have counted numbers', async () => {
  for (const id of ['a', 'b', 'c']) await parts.add(id);
  expect(await parts.editor.move('c', 'front')).toBeLessThan(0);
  expect(await take(4)).toEqual(['c', 'a', 'b', undefined]);
});

test('to a number; of equal ones the job that came first goes first', async () => {
  for (const [id, number] of [
    ['a', 1],
    ['b', 2],
    ['c', 3],
  ] as const) {
    await parts.add(id, { number });
  }
  expect(await parts.editor.move('a', 3)).toBe(3);
  expect(await parts.editor.move('c', 2)).toBe(2);
  expect(await take(4)).toEqual(['b', 'c', 'a', undefined]);
});

test('within the jobs of one client, of which only the first is ready', async () => {
  for (const id of ['a', 'b', 'c']) await parts.add(id, { clientId: 'one' });
  await parts.editor.move('c', 'front');
  await parts.editor.move('a', 100);
  expect(await take(4)).toEqual(['c', 'b', 'a', undefined]);
});

test('while another job of the client runs, and only one runs then', async () => {
  for (const id of ['a', 'b', 'c']) await parts.add(id, { clientId: 'one' });
  const running = await parts.take();
  await parts.editor.move('c', 'front');
  expect((await parts.take())?.id).toBeUndefined();
  await parts.finish(running);
  expect(await take(3)).toEqual(['c', 'b', undefined]);
});

test('keeps its priority', async () => {
  await parts.add('high', { priority: 'high', number: 5 });
  await parts.add('other', { priority: 'high', number: 6 });
  await parts.add('normal', { number: 1 });
  await parts.editor.move('high', 7);
  expect(await take(3)).toEqual(['other', 'high', 'normal']);
});

test('only while it waits', async () => {
  await parts.add('a');
  await parts.take();
  expect(await parts.editor.move('a', 'front')).toBeUndefined();
  expect(await parts.editor.move('nobody', 1)).toBeUndefined();
});
