import { expect, test } from '@jest/globals';
import type { JsonObject, RefreshScope } from '@tiercel/contracts';
import { obey } from './obey.ts';

/** Pools and a heartbeat that write down what they are asked, in its order. */
function openParts() {
  const done: unknown[] = [];
  const pool = (name: string) => ({
    refresh: async (wish: RefreshScope): Promise<void> => {
      await Promise.resolve();
      done.push([name, 'look', wish]);
    },
    free: (body: JsonObject): Promise<void> => {
      done.push([name, 'free', body]);
      return Promise.resolve();
    },
  });
  const heartbeat = {
    reportRefresh: (id: string): void => {
      done.push(['reported', id]);
    },
  };
  const preemption = {
    answer: (claim: string): Promise<void> => {
      done.push(['answered', claim]);
      return Promise.resolve();
    },
  };
  return { done, pools: [pool('p'), pool('q')], heartbeat, preemption };
}

test('a refresh is done by every pool before it is reported', async () => {
  const { done, pools, heartbeat, preemption } = openParts();
  await obey({ type: 'look', id: 'l1', wish: ['KSampler'] }, pools, heartbeat, preemption);
  expect(done).toEqual([
    ['p', 'look', ['KSampler']],
    ['q', 'look', ['KSampler']],
    ['reported', 'l1'],
  ]);
});

test('a run that is to make room is not a matter of the pools', async () => {
  const { done, pools, heartbeat, preemption } = openParts();
  await obey({ type: 'preempt', claim: 'c1' }, pools, heartbeat, preemption);
  expect(done).toEqual([['answered', 'c1']]);
});

test('a worker without pools has had every look', async () => {
  const { done, heartbeat, preemption } = openParts();
  await obey({ type: 'look', id: 'l1', wish: 'all' }, [], heartbeat, preemption);
  expect(done).toEqual([['reported', 'l1']]);
});

test('what is to be freed is passed on as it is; what is no object is nothing', async () => {
  const { done, pools, heartbeat, preemption } = openParts();
  await obey({ type: 'free', body: '{"unload_models":true,"x":1}' }, pools, heartbeat, preemption);
  await obey({ type: 'free', body: '[1]' }, pools, heartbeat, preemption);
  expect(done).toEqual([
    ['p', 'free', { unload_models: true, x: 1 }],
    ['q', 'free', { unload_models: true, x: 1 }],
  ]);
  await expect(obey({ type: 'free', body: '{' }, pools, heartbeat, preemption)).rejects.toThrow(
    SyntaxError,
  );
});
