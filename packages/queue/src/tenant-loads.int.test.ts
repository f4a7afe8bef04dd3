import { expect, test } from '@jest/globals';
import { DEFAULT_TENANT } from '@tiercel/contracts';
import { newJob, useQueueParts } from './queue.test-helpers.ts';
import { TenantLoads, type TenantLoad } from './tenant-loads.ts';

const parts = useQueueParts();

const read = async (): Promise<TenantLoad[]> => {
  const found = await new TenantLoads(parts.redis, parts.names).read();
  return found.sort((a, b) => (a.tenant < b.tenant ? -1 : 1));
};

test('every tenant with a job is counted, whatever keeps its jobs waiting', async () => {
  expect(await read()).toEqual([]);
  const limits = { plan: 'free', weight: 1 };
  await parts.add('plain');
  await parts.add('first', { tenant: { id: 'runs', limits }, clientId: 'c' });
  expect((await parts.take())?.promptId).toBeDefined();
  expect((await parts.take())?.promptId).toBeDefined();
  // Behind the running job of its client.
  await parts.add('second', { tenant: { id: 'runs', limits }, clientId: 'c' });
  // At a limit of its own.
  const held = { plan: 'pro', weight: 1, maxRunning: 1, intervalMs: 60_000 };
  for (const id of ['x', 'y', 'z']) await parts.add(id, { tenant: { id: 'held', limits: held } });
  await parts.finish(await parts.take());
  // Accepted, and its answer is still on its way.
  await parts.producer.enqueue({
    ...newJob('unreleased'),
    tenant: { id: 'new', limits: { weight: 1 } },
  });
  expect(await read()).toMatchObject([
    { tenant: DEFAULT_TENANT, plan: undefined, pending: 0, running: 1 },
    { tenant: 'held', plan: 'pro', pending: 2, running: 0 },
    { tenant: 'new', plan: undefined, pending: 1, running: 0 },
    { tenant: 'runs', plan: 'free', pending: 1, running: 1 },
  ]);
  const sum = (of: 'pending' | 'running', loads: readonly TenantLoad[]) =>
    loads.reduce((total, load) => total + load[of], 0);
  const whole = await parts.reader.countWholeQueue();
  const loads = await read();
  expect({ pending: sum('pending', loads), running: sum('running', loads) }).toEqual(whole);
});
