import { get, type IncomingMessage } from 'node:http';
import { afterEach, describe, expect, test } from '@jest/globals';
import { connectRedis, createLogger, type Redis } from '@tiercel/runtime';
import {
  connectSocket,
  http,
  onStopEverything,
  startApi,
  startSystem,
  startTestRedis,
  startWorker,
  stopEverything,
  until,
  type TestSystem,
} from '@tiercel/testkit';
import { isIdleAfter } from './comfyui-system.ts';
import { post, readHistory, saveImage, slow, waitForEnd } from './prompts.ts';

/** Invariant 9 for what goes out: events, event streams, lists; and for what callers call themselves. */

afterEach(stopEverything);

function openRedis(url: string): Redis {
  const redis = connectRedis(url, 'subscriber', createLogger({ level: 'silent', name: 'test' }));
  onStopEverything(() => {
    redis.disconnect();
  });
  return redis;
}

async function readMetric(url: string, pattern: RegExp): Promise<number> {
  const { text } = await http(url).get('/metrics');
  return Number(pattern.exec(text)?.[1]);
}

/** Shows a text that doubles with each node: a short prompt, a long output. */
function longText(doublings: number): Record<string, unknown> {
  const prompt: Record<string, unknown> = {
    '0': { class_type: 'PrimitiveString', inputs: { value: `${Math.random()}\u0001`.repeat(50) } },
    show: { class_type: 'PreviewAny', inputs: { source: [String(doublings), 0] } },
  };
  for (let n = 1; n <= doublings; n += 1) {
    const before = [String(n - 1), 0];
    prompt[n] = {
      class_type: 'StringConcatenate',
      inputs: { string_a: before, string_b: before, delimiter: '' },
    };
  }
  return prompt;
}

describe('an event that is larger than events may be', () => {
  test('reaches its own client cut, cuts nobody off, and history has the whole', async () => {
    const system = await startSystem({ workers: 2, env: { WORKER_CONCURRENCY: '2' } });
    const api = http(system.url);
    const own = await connectSocket(system.url, { clientId: 'own' });
    const other = await connectSocket(system.url, { clientId: 'other' });
    const id = await post(api, longText(13), { client_id: 'own' });
    const others: string[] = [];
    for (let n = 0; n < 20; n += 1) {
      others.push(await post(api, saveImage(), { client_id: 'other' }));
    }
    await own.waitForText('executing', isIdleAfter(id), 30_000);
    const [executed] = own.textFrames('executed');
    expect(executed!.raw.length).toBeLessThan(1_048_576);
    expect(executed!.data).toMatchObject({ node: 'show', tiercel_cut: true });
    const item = (await readHistory(api, id)) as unknown as {
      outputs: { show: { text: [string] } };
    };
    expect(item.outputs.show.text[0].length).toBeGreaterThan(5_000_000);
    await until(() => other.textFrames('execution_success').length >= 20);
    expect(await readMetric(system.url, /^comfy_subscription_gaps_total\S* (\S+)$/m)).toBe(0);
    // Told again to a client that comes back, it is cut as well.
    const later = await post(api, longText(13), { client_id: 'away' });
    await waitForEnd(api, later, 30_000);
    const away = await connectSocket(system.url, { clientId: 'away' });
    await away.waitForText('executing', isIdleAfter(later));
    expect(away.textFrames('executed')[0]!.raw.length).toBeLessThan(1_048_576);
  }, 90_000);
});

describe('an event stream whose caller reads nothing', () => {
  test('is closed, and goes on where it was when the caller is back', async () => {
    const system = await startSystem({
      env: { NODES_DIR: 'tests/fixtures/nodes' },
      configYaml: [
        'queue: { eventBytesPerJob: 100000000 }',
        'api: { maxSocketBufferBytes: 3000000, progressBufferBytes: 1000 }',
      ].join('\n'),
    });
    const prompt: Record<string, unknown> = {
      // So that the first events have come before the many do.
      ...slow(3, 0.1),
      text: { class_type: 'PrimitiveString', inputs: { value: 'x'.repeat(200_000) } },
    };
    const nodes = Array.from({ length: 150 }, (_, n) => `show${n}`);
    for (const node of nodes) {
      prompt[node] = { class_type: 'PreviewAny', inputs: { source: ['text', 0] } };
    }
    // It waits until the stream is there: the events come while it reads nothing.
    const api = http(system.url);
    await system.workers[0]!.stop();
    const id = await post(api, prompt);
    const stream = await new Promise<IncomingMessage>((resolve, reject) => {
      get(`${system.url}/api/jobs/${id}/events`, { agent: false }, resolve).on('error', reject);
    });
    const parts: Buffer[] = [];
    stream.on('data', (part: Buffer) => {
      parts.push(part);
      // From the first event on it reads nothing.
      if (Buffer.concat(parts).includes('\nid: ')) stream.pause();
    });
    stream.on('error', () => undefined); // aborted: that is what is expected
    const closed = new Promise<void>((resolve) => {
      stream.on('close', resolve);
    });
    await startWorker(system.options);
    await waitForEnd(api, id, 30_000);
    await until(
      async () =>
        (await readMetric(system.url, /^comfy_slow_closed_total{kind="stream"[^}]*} (\S+)$/m)) ===
        1,
    );
    stream.removeAllListeners('data').on('data', (part: Buffer) => parts.push(part));
    stream.resume();
    await closed;
    // The last event may be cut in the middle; what counts is the last one that came whole.
    const seen = Buffer.concat(parts).toString().split('\n\n').slice(0, -1);
    const lastId = [...seen.join('\n').matchAll(/^id: (.*)$/gm)].at(-1)![1]!;
    const rest = await api.get(`/api/jobs/${id}/events`, { headers: { 'last-event-id': lastId } });
    const shown = [
      ...`${seen.join('\n\n')}\n\n${rest.text}`.matchAll(/^event: executed\ndata: (.*)$/gm),
    ];
    const received = shown.map((match) => (JSON.parse(match[1]!) as { node: string }).node);
    expect(received).toHaveLength(nodes.length + 1);
    expect(new Set(received)).toEqual(new Set(['2', ...nodes]));
    expect(rest.text).toMatch(/event: executing\ndata: {"node":null,[^\n]*\n\n$/);
  }, 60_000);
});

describe('lists', () => {
  async function fill(system: TestSystem, count: number, bytes: number): Promise<number[]> {
    const pad = 'x'.repeat(bytes);
    const statuses: number[] = [];
    for (let n = 0; n < count; n += 1) {
      const answer = await http(system.url).post('/prompt', {
        ...{ prompt: saveImage(), extra_data: { pad }, prompt_id: `p${n}` },
      });
      statuses.push(answer.status);
      if (answer.status === 429) {
        expect(answer.json()).toMatchObject({ error: { type: 'queue_full' }, node_errors: {} });
        expect(answer.headers['retry-after']).toBeDefined();
      }
    }
    return statuses;
  }

  test('of a queue full of large prompts are whole, and never whole in memory', async () => {
    const system = await startSystem({ configYaml: 'queue: { maxPendingBytes: 210000000 }\n' });
    await system.workers[0]!.stop();
    expect(await fill(system, 12, 20_000_000)).toEqual([...Array<number>(10).fill(200), 429, 429]);
    // Beside what the API itself needs its heap has room for a few of the prompts: one that holds all 200 MB ends here.
    const small = { NODE_OPTIONS: '--max-old-space-size=150' };
    const { url } = await startApi({ ...system.options, env: small });
    const queue = await http(url).get('/queue', { timeoutMs: 60_000 });
    expect(queue.status).toBe(200);
    const { queue_running: running, queue_pending: pending } = JSON.parse(queue.text) as Record<
      string,
      [number, string, object, { pad: string }][]
    >;
    expect(running).toEqual([]);
    expect(pending!.map(([, id, , { pad }]) => [id, pad.length])).toEqual(
      Array.from({ length: 10 }, (_, n) => [`p${n}`, 20_000_000]),
    );
  }, 90_000);

  test('of jobs are the same whether they are short or long', async () => {
    const system = await startSystem();
    const api = http(system.url);
    const workflow = (id: string) => ({ extra_data: { extra_pnginfo: { workflow: { id } } } });
    const long = 'w'.repeat(3_000);
    const ids: string[] = [];
    for (let n = 0; n < 300; n += 1) {
      ids.push(await post(api, saveImage(), workflow(n % 3 === 0 ? long : 'short')));
    }
    await waitForEnd(api, ids.at(-1)!, 60_000);
    const list = async (query: string) =>
      (await api.get(`/api/jobs?sort_order=asc${query}`)).json() as unknown as {
        jobs: { id: string; workflow_id: string }[];
        pagination: object;
      };
    const all = await list('');
    expect(all.jobs.map(({ id }) => id)).toEqual(ids);
    expect(all.pagination).toEqual({ offset: 0, limit: null, total: 300, has_more: false });
    const page = await list('&offset=290&limit=5');
    expect(page.jobs.map(({ id }) => id)).toEqual(ids.slice(290, 295));
    expect(page.pagination).toMatchObject({ total: 300, has_more: true });
    const mine = await list(`&workflow_id=${long}&limit=10`);
    expect(mine.jobs.map(({ id }) => id)).toEqual(ids.filter((_, n) => n % 3 === 0).slice(0, 10));
    expect(mine.pagination).toMatchObject({ total: 100, has_more: true });
    expect((await api.get('/history')).json()).toMatchObject(
      Object.fromEntries(ids.map((id) => [id, {}])),
    );
  }, 90_000);
});

describe('ids of any length', () => {
  test('work for clients, and no key in Redis is as long', async () => {
    const system = await startSystem({ apis: 2 });
    const clientId = `a client with a long name ${'ö'.repeat(1_200)}`;
    const socket = await connectSocket(system.apis[1]!.url, { clientId });
    const stranger = await connectSocket(system.url, { clientId: `${clientId}!` });
    expect(socket.textFrames('status')[0]!.data).toMatchObject({ sid: clientId });
    const redis = openRedis(system.redis.url);
    const longest = { key: '' };
    const look = async () => {
      const keys = await redis.keys('*');
      const channels = (await redis.pubsub('CHANNELS')) as string[];
      for (const name of [...keys, ...channels]) {
        if (name.length > longest.key.length) longest.key = name;
      }
    };
    const workflow = { id: 'w'.repeat(100_000) };
    const id = await post(http(system.url), saveImage(), {
      ...{ client_id: clientId, extra_data: { extra_pnginfo: { workflow } } },
    });
    await look();
    await socket.waitForText('executing', isIdleAfter(id));
    expect(socket.textFrames('execution_success')).toHaveLength(1);
    expect(stranger.textFrames('execution_success')).toEqual([]);
    // Away and back, and one job after the other, as with any id.
    await socket.close();
    const more = [];
    for (let n = 0; n < 3; n += 1) {
      more.push(await post(http(system.url), saveImage(), { client_id: clientId }));
    }
    await waitForEnd(http(system.url), more.at(-1)!);
    await look();
    const again = await connectSocket(system.url, { clientId });
    await again.waitForText('executing', isIdleAfter(more.at(-1)!));
    expect(
      again
        .textFrames('execution_success')
        .map(({ data }) => (data as { prompt_id: string }).prompt_id),
    ).toEqual(more);
    expect(longest.key.length).toBeLessThan(300);
    const [, , , extra] = (await readHistory(http(system.url), id))!.prompt as [
      0,
      0,
      0,
      { client_id: string },
    ];
    expect(extra.client_id).toBe(clientId);
  }, 30_000);
});

describe('a Redis that gives subscribers little room', () => {
  test.each([
    ['pubsub 1048576 524288 60', 'cut off'],
    ['pubsub 0 0 0', 'fills the memory'],
  ])(
    'is warned of at the start: %s',
    async (limit, words) => {
      const redis = await startTestRedis();
      await openRedis(redis.url).config('SET', 'client-output-buffer-limit', limit);
      const system = await startSystem({ redis, workers: 0, apis: 1 });
      const warnings = system.apis[0]!.logs.filter((line) =>
        line.includes('client-output-buffer-limit'),
      );
      expect(warnings).toHaveLength(1);
      expect(warnings[0]).toContain(words);
      await openRedis(redis.url).config(
        'SET',
        'client-output-buffer-limit',
        'pubsub 33554432 8388608 60',
      );
      const next = await startApi(system.options);
      expect(next.logs.filter((line) => line.includes('client-output-buffer-limit'))).toEqual([]);
    },
    30_000,
  );
});
