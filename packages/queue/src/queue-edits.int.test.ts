import { describe, expect, test } from '@jest/globals';
import { jobIdOf, DEFAULT_TENANT, parseEventMessage } from '@tiercel/contracts';
import { connectRedis } from '@tiercel/runtime';
import { startRedisProxy, until } from '@tiercel/testkit';
import { log, newJob, openQueueParts, result, useQueueParts } from './queue.test-helpers.ts';

const parts = useQueueParts();

describe('edits', () => {
  test('delete removes what waits without a trace, and leaves the rest alone', async () => {
    await parts.add('a');
    await parts.add('b');
    const running = await parts.take();
    expect(await parts.editor.deletePending(['a', 'b', 'unknown'])).toBe(1);
    expect(running?.id).toBe('a');
    expect(await parts.reader.readRecord('b')).toBeUndefined();
    expect(await parts.redis.keys('qtest:*:b')).toEqual([]);
  });

  test('clear removes everything that waits, in any number', async () => {
    for (let i = 0; i < 1_200; i += 1) await parts.producer.enqueue(newJob(`j${i}`));
    await parts.editor.clearPending();
    expect(await parts.reader.countRemaining()).toBe(0);
  });

  test('clear misses nothing when jobs are taken, come and go between its steps', async () => {
    const proxy = await startRedisProxy(parts.server.url);
    const step = '\r\n500\r\n'; // the size of a batch
    const clearing = openQueueParts(proxy.url);
    try {
      for (let i = 0; i < 1_200; i += 1) {
        await parts.producer.enqueue(newJob(`j${i}`, { number: i < 498 ? 0 : 1 }));
      }
      // After it was looked what is there, before the first step: they stay, the last one of that step among them.
      proxy.before(step, async () => {
        await parts.add('stays', { number: 0 });
        await parts.add('is-taken', { number: -1 });
      });
      let steps = 0;
      const between = async (): Promise<void> => {
        steps += 1;
        if (steps === 1) expect((await parts.take())?.id).toBe('is-taken');
        await parts.add(`late-${steps}`, { front: steps === 2 });
        proxy.before(step, between);
      };
      proxy.before(step, between);
      await clearing.editor.clearPending();
      expect(steps).toBeGreaterThanOrEqual(2);
      const { pending } = await parts.reader.listQueueIds();
      expect(pending.filter((id) => id.startsWith('j'))).toEqual([]);
      expect(pending).toContain('stays');
    } finally {
      await clearing.close();
    }
  });

  test('cancel removes a pending job, stops a running one, and knows neither of an ended one', async () => {
    await parts.add('ended');
    await parts.finish(await parts.take());
    await parts.add('runs');
    await parts.take();
    await parts.add('waits');
    expect(await parts.editor.cancel(['ended'])).toBe(0);
    expect(await parts.editor.cancel(['waits', 'runs', 'unknown'])).toBe(2);
    expect(await parts.consumer.isCancelled(jobIdOf(DEFAULT_TENANT, 'runs'))).toBe(true);
  });

  test('history can be deleted by id and cleared', async () => {
    for (const id of ['a', 'b', 'c']) {
      await parts.add(id);
      await parts.finish(await parts.take());
    }
    await parts.editor.deleteHistory(['b', 'zzz']);
    expect(await parts.reader.listHistoryIds({})).toEqual(['a', 'c']);
    await parts.editor.clearHistory();
    expect(await parts.reader.listHistoryIds({})).toEqual([]);
    expect(await parts.redis.keys('qtest:job:*')).toEqual([]);
  });
});

describe('pages', () => {
  test('history pages as ComfyUI pages it', async () => {
    for (let i = 0; i < 5; i += 1) {
      await parts.add(`h${i}`);
      await parts.finish(await parts.take());
    }
    const page = (maxItems?: number, offset?: number) =>
      parts.reader.listHistoryIds({
        ...(maxItems === undefined ? {} : { maxItems }),
        ...(offset === undefined ? {} : { offset }),
      });
    expect(await page(2)).toEqual(['h3', 'h4']);
    expect(await page(2, 1)).toEqual(['h1', 'h2']);
    expect(await page(undefined, 3)).toEqual(['h3', 'h4']);
    expect(await page(undefined, 99)).toEqual([]);
    expect(await page(0)).toEqual([]);
    expect(await page(-1)).toEqual([]);
    expect(await page(undefined, -1)).toHaveLength(5);
  });

  test.each([true, false])(
    'job pages put together are the whole list (descending: %s)',
    async (descending) => {
      for (let i = 0; i < 40; i += 1) await parts.add(`j${i}`, { number: i % 7 });
      for (let i = 0; i < 25; i += 1) {
        const job = await parts.take();
        const outcome = (['success', 'error', 'interrupted'] as const)[i % 3]!;
        const ended = result(job!.id, outcome === 'error' ? 'success' : outcome);
        if (i < 20)
          await parts.consumer.finish(
            job!,
            { ...ended, outcome },
            Date.now() - (i % 4) * 10,
            undefined,
          );
      }
      for (const sortBy of ['created', 'duration'] as const) {
        const query = {
          states: ['pending', 'running', 'success', 'error', 'interrupted'] as const,
          sortBy,
          descending,
        };
        const all = await parts.reader.listJobIds({ ...query, offset: 0, limit: 1_000 });
        expect(all.total).toBe(40);
        expect(new Set(all.ids).size).toBe(40);
        const paged: string[] = [];
        for (let offset = 0; offset < 45; offset += 3) {
          paged.push(...(await parts.reader.listJobIds({ ...query, offset, limit: 3 })).ids);
        }
        expect(paged).toEqual(all.ids);
      }
    },
  );
});

describe('announcing the end', () => {
  test('history is written before anybody hears of the end, and the count goes with it', async () => {
    const subscriberConnection = connectRedis(parts.server.url, 'subscriber', log);
    const received: string[] = [];
    const inHistory: string[][] = [];
    subscriberConnection.on('message', (_channel: string, text: string) => {
      received.push(text);
      void parts.reader.listHistoryIds({}).then((ids) => inHistory.push(ids));
    });
    await subscriberConnection.subscribe(parts.names.clientChannel('A'));
    await parts.add('x', { clientId: 'A' });
    await parts.finish(await parts.take());
    await until(() => inHistory.length > 0);
    subscriberConnection.disconnect();
    const message = parseEventMessage(received[0]!);
    expect(message).toMatchObject({ promptId: 'x', terminal: true });
    expect(message.lines.map((line) => (JSON.parse(line.frame) as { type: string }).type)).toEqual([
      'execution_success',
      'status',
      'executing',
    ]);
    expect(inHistory[0]).toEqual(['x']);
  });
});
