import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  connectSocket,
  http,
  startSystem,
  stopEverything,
  type RawHttp,
  type TestSystem,
} from '@tiercel/testkit';
import { saveImage, slow, waitForEnd, waitForRunning } from './prompts.ts';

/** Ids that callers choose, of any characters: a job is found by the id that its caller was told. */

let system: TestSystem;
let api: RawHttp;

beforeAll(async () => {
  system = await startSystem({ env: { NODES_DIR: 'tests/fixtures/nodes' } });
  api = http(system.url);
});
afterAll(stopEverything);

/** As JSON text: some cannot be written otherwise. */
const IDS: [string, string][] = [
  ['half a pair, the first', '"a\\ud83d"'],
  ['half a pair, the second', '"\\ude00b"'],
  ['two halves in the wrong order', '"\\ude00\\ud83d"'],
  ['a whole pair, escaped', '"\\ud83d\\ude00"'],
  ['a whole pair, written', '"😀"'],
  ['a NUL and a line break', '"x\\u0000\\n\\u2028"'],
  ['what means something to Redis and to URLs', '":{}*?[]%2F../#&+ \\\\"'],
  ['a number', '7'],
];

describe.each(IDS)('a job whose prompt_id is %s', (_, idText) => {
  const send = async (prompt: object) => {
    const answer = await api.post(
      '/prompt',
      `{"prompt":${JSON.stringify(prompt)},"prompt_id":${idText},"client_id":"odd"}`,
    );
    expect(answer.status).toBe(200);
    const { prompt_id: id } = answer.json() as { prompt_id: string };
    expect(id.isWellFormed()).toBe(true);
    return id;
  };

  test('is found, told of, repeated and deleted by the id in the answer', async () => {
    const socket = await connectSocket(system.url, { clientId: 'odd' });
    const prompt = saveImage('odd');
    const id = await send(prompt);
    await waitForEnd(api, id);
    await socket.waitForText(
      'execution_success',
      (data) => (data as { prompt_id: string }).prompt_id === id,
    );
    expect(Object.keys((await api.get('/history')).json() as object)).toContain(id);
    const path = encodeURIComponent(id);
    expect((await api.get(`/api/jobs/${path}`)).json()).toMatchObject({ id, status: 'completed' });
    expect((await api.get(`/api/jobs/${path}/events`)).text).toContain('execution_success');
    // The same body again is the same job.
    expect(await send(prompt)).toBe(id);
    await api.post('/history', `{"delete":[${idText}]}`);
    expect((await api.get(`/history/${path}`)).json()).toEqual({});
    await socket.close();
  });

  test('is interrupted by it', async () => {
    const id = await send(slow(600, 0.05));
    await waitForRunning(api, id);
    await api.post('/interrupt', `{"prompt_id":${idText}}`);
    const { status } = await waitForEnd(api, id);
    expect(status.messages.at(-1)?.[0]).toBe('execution_interrupted');
    await api.post('/history', JSON.stringify({ delete: [id] }));
  });
});
