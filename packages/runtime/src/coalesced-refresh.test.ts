import { expect, test } from '@jest/globals';
import { CoalescedRefresh } from './coalesced-refresh.ts';

test('who asks while a run is under way waits for one that begins afterwards, together with the others', async () => {
  const begun: (() => void)[] = [];
  const runs = new CoalescedRefresh(() => new Promise((resolve) => begun.push(resolve)));
  const ended: string[] = [];
  const note = (name: string, run: Promise<void>) => run.then(() => ended.push(name));
  const all = [note('first', runs.run()), note('joined', runs.join())];
  all.push(note('second', runs.run()), note('third', runs.run()));
  expect(begun).toHaveLength(1);
  begun[0]?.();
  await Promise.all(all.slice(0, 2));
  expect([ended, begun.length]).toEqual([['first', 'joined'], 2]);
  begun[1]?.();
  await Promise.all(all);
  expect([ended, begun.length]).toEqual([['first', 'joined', 'second', 'third'], 2]);
  void runs.join();
  expect(begun).toHaveLength(3);
});
