import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { http, startSystem, stopEverything, type RawHttp, type TestSystem } from '@tiercel/testkit';
import { saveImage, waitForEnd } from './prompts.ts';

/** Bodies of megabytes: read as exactly as small ones, and nobody else waits for it. */

const MIB = 1024 * 1024;
let system: TestSystem;
let api: RawHttp;

beforeAll(async () => {
  system = await startSystem();
  api = http(system.url);
});
afterAll(stopEverything);

const repeat = (piece: string, bytes: number) => piece.repeat(Math.floor(bytes / piece.length));
const withExtra = (extra: string) =>
  `{"prompt":${JSON.stringify(saveImage('large'))},"extra_data":${extra}}`;
const typeOf = (text: string) => (JSON.parse(text) as { error: { type: string } }).error.type;

async function post(body: string, timeoutMs = 60_000) {
  return await api.post('/prompt', Buffer.from(body), { timeoutMs });
}

/** The longest that the API's event loop stood still since this was asked last, in seconds. */
async function readLongestDelay(): Promise<number> {
  const { text } = await api.get('/metrics');
  return Number(/^comfy_nodejs_eventloop_lag_max_seconds\S* (\S+)$/m.exec(text)?.[1]);
}

describe('while a large body is read', () => {
  test.each([
    ['95 MB of small objects', () => `{"a":[${repeat('{"a":{}},', 95 * MIB)}0]}`, 413],
    ['95 MB of numbers', () => `{"a":[${repeat('0,', 95 * MIB)}0]}`, 413],
    ['95 MB of 64-bit integers', () => `{"a":[${repeat('9223372036854775807,', 95 * MIB)}0]}`, 413],
    ['20 MB of an endless nest', () => `{"a":${repeat('[', 20 * MIB)}`, 413],
    ['900,000 values', () => `{"a":[${repeat('{"a":1},', 3_600_000)}0]}`, 200],
    ['a string of 20 MB', () => `{"a":"${'x'.repeat(20 * MIB)}"}`, 200],
    ['20 MB of what is no JSON in the end', () => `{"a":"${'x'.repeat(20 * MIB)}"]`, 400],
  ])('others are served: %s', async (_, extra, status) => {
    const body = withExtra(extra());
    await readLongestDelay();
    const answer = await post(body);
    const delay = await readLongestDelay();
    expect([answer.status, delay < 0.25]).toEqual([status, true]);
    if (status === 413) expect(typeOf(answer.text)).toBe('body_too_large');
    await api.post('/queue', { clear: true });
    await api.post('/history', { clear: true });
  });

  test('others are served: edits of very many ids, prompts of very many links', async () => {
    const ids = JSON.stringify({ delete: Array.from({ length: 200_000 }, (_, n) => `id-${n}`) });
    const nodes: Record<string, unknown> = {
      0: { class_type: 'PrimitiveString', inputs: { value: 'x' } },
    };
    for (let n = 1; n < 1_000; n += 1) {
      const links = Array.from({ length: 200 }, (_, i) => [
        `k${i}`,
        [String((n * 7 + i) % 1_000), 0],
      ]);
      nodes[n] = {
        class_type: 'PreviewAny',
        inputs: { source: ['0', 0], ...Object.fromEntries(links) },
      };
    }
    await readLongestDelay();
    expect((await api.post('/queue', Buffer.from(ids))).status).toBe(200);
    expect((await post(JSON.stringify({ prompt: nodes }))).status).toBe(200);
    expect(await readLongestDelay()).toBeLessThan(0.25);
    await api.post('/queue', { clear: true });
    await api.post('/interrupt', {});
  });
});

describe('a large body', () => {
  // Beyond what is read at once, however it is counted.
  const pad = `"pad":"${'ü😀'.repeat(300_000)}"`;

  test('keeps every digit and every letter', async () => {
    const prompt = JSON.stringify(saveImage('exact')).replace(
      '"batch_size"',
      '"kept":1.0,"batch_size"',
    );
    const extra = `{"seed":18446744073709551615,"order":{"10":1,"9":2},"f":1.0,${pad},"api_key_comfy_org":"sk-large-0123"}`;
    const answer = await post(`{"prompt":${prompt},"extra_data":${extra},"client_id":"c"}`);
    expect(answer.status).toBe(200);
    const { prompt_id: id } = answer.json() as { prompt_id: string };
    await waitForEnd(api, id);
    const { text } = await api.get(`/history/${id}`);
    expect(text).toContain('"seed":18446744073709551615,"order":{"10":1,"9":2},"f":1.0');
    expect(text).toContain('"kept":1.0,"batch_size":1');
    expect(text).toContain(pad);
    expect(text).not.toContain('sk-large-0123');
  });

  test('sent twice with an id of its own is one job, and another body with that id is refused', async () => {
    const prompt = JSON.stringify(saveImage('once'));
    const body = (more: string) => `{"prompt":${prompt},"prompt_id":"large",${more}${pad}}`;
    const [first, second] = [await post(body('')), await post(body(''))];
    expect([first.status, second.text]).toEqual([200, first.text]);
    const other = await post(body('"x":1,'));
    expect([other.status, typeOf(other.text)]).toEqual([409, 'prompt_id_conflict']);
    await waitForEnd(api, 'large');
  });

  test('is refused as a small one is', async () => {
    const prompt = JSON.stringify(saveImage('refused'));
    const nested = `${'['.repeat(600)}${']'.repeat(600)}`;
    for (const [status, type, body] of [
      [400, 'bad_json', `{"prompt":${prompt},${pad}`],
      [400, 'bad_json', `{"prompt":${prompt},"n":${nested},${pad}}`],
      [400, 'bad_request', `{"prompt":${prompt},"number":"x",${pad}}`],
      [400, 'bad_request', `{"prompt":${prompt},"extra_data":[],${pad}}`],
      [400, 'no_prompt', `{${pad}}`],
      [400, 'missing_node_type', `{"prompt":{"1":{"class_type":"NoSuchNode","inputs":{}}},${pad}}`],
      [
        400,
        'prompt_outputs_failed_validation',
        `{"prompt":${prompt.replace('"width":64', '"width":-1')},${pad}}`,
      ],
    ] as const) {
      const answer = await post(body);
      expect([answer.status, typeOf(answer.text)]).toEqual([status, type]);
    }
    const notText = Buffer.concat([
      Buffer.from(`{${pad},"x":"`),
      Buffer.from([0xff]),
      Buffer.from('"}'),
    ]);
    expect((await api.post('/prompt', notText)).status).toBe(400);
    for (const path of ['/queue', '/history']) {
      expect((await api.post(path, `[${'1,'.repeat(200_000)}1]`)).status).toBe(400);
    }
  });

  test('that deletes jobs deletes them', async () => {
    const ids = await Promise.all(
      [1, 2, 3].map(async () => {
        const answer = await api.post('/prompt', { prompt: saveImage('gone') });
        return (answer.json() as { prompt_id: string }).prompt_id;
      }),
    );
    for (const id of ids) await waitForEnd(api, id);
    const others = Array.from({ length: 20_000 }, (_, n) => `nobody-${n}`);
    const list = [...others.slice(0, 9_999), ...ids, ...others.slice(9_999)];
    expect((await api.post('/history', { delete: list })).status).toBe(200);
    const left = Object.keys((await api.get('/history')).json() as object);
    expect(left.filter((id) => ids.includes(id))).toEqual([]);
  });
});
