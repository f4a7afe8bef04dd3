import { describe, expect, test } from '@jest/globals';
import { promptId } from '@tiercel/contracts';
import { useQueueParts } from './queue.test-helpers.ts';

const parts = useQueueParts();
const add = (id: string, tenant: string): Promise<void> =>
  parts.add(id, { tenant: { id: tenant } });

/** Runs the next job to its end. */
async function end(): Promise<void> {
  expect(await parts.finish(await parts.take())).toBe(true);
}

describe('jobs of several tenants', () => {
  test('with one id are found in every state, for operators', async () => {
    await add('x', 'ended');
    await end();
    await add('x', 'running');
    await parts.take();
    await add('x', 'pending');
    await add('x', 'default');
    await add('y', 'another');
    expect((await parts.reader.findTenants('x')).sort()).toEqual([
      ...['default', 'ended', 'pending', 'running'],
    ]);
    expect(await parts.reader.findTenants('nobody’s')).toEqual([]);
  });

  test('are counted from 0 for each, and edited by their own only', async () => {
    for (const tenant of ['one', 'two', 'default']) {
      await add('a', tenant);
      await add('b', tenant);
      const { reader, editor } = {
        reader: parts.reader.of(tenant),
        editor: parts.editor.of(tenant),
      };
      expect((await reader.readRecord('b'))?.number).toBe(1);
      expect(await editor.deletePending(['a', 'nothing'])).toBe(1);
      expect(await reader.countQueue()).toEqual({ pending: 1, running: 0 });
    }
    await parts.editor.of('one').clearPending();
    expect(await parts.reader.countWholeQueue()).toEqual({ pending: 2, running: 0 });
    expect(await parts.reader.of('one').countQueue()).toEqual({ pending: 0, running: 0 });
  });

  test('of which one has the character between tenant and id in its name meet nobody’s', async () => {
    await add('one\u001fa', 'default');
    await add('a', 'one');
    expect(await parts.reader.listQueueIds()).toMatchObject({ pending: ['one\u001fa'] });
    expect(await parts.reader.of('one').listQueueIds()).toMatchObject({ pending: ['a'] });
    expect(await parts.editor.cancel(['a'])).toBe(0);
    expect(await parts.editor.cancel(['one\u001fa'])).toBe(1);
    expect(await parts.producer.findAccepted(promptId('a'), 'hash-a', 'one')).toMatchObject({
      number: 0,
    });
  });

  test('leave history by whose is longest, and the default tenant keeps its own', async () => {
    for (const [tenant, count] of [
      ['few', 2],
      ['many', 6],
      ['default', 3],
    ] as const) {
      for (let n = 0; n < count; n += 1) {
        await add(`${tenant}-${n}`, tenant);
        await end();
      }
    }
    await parts.editor.trimHistory(4);
    expect(await parts.reader.of('few').listHistoryIds({})).toEqual(['few-0', 'few-1']);
    expect(await parts.reader.of('many').listHistoryIds({})).toEqual(['many-4', 'many-5']);
    expect(await parts.reader.listHistoryIds({})).toHaveLength(3);
    await parts.editor.of('many').clearHistory();
    expect(await parts.redis.zrange(parts.names.historySizes, 0, '-1')).toEqual(['few']);
  });
});
