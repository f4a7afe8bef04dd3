import { connect } from 'node:net';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  connectSocket,
  http,
  letTimePass,
  startSystem,
  stopEverything,
  until,
  type RawHttp,
  type TestSystem,
} from '@tiercel/testkit';
import { lastMessage, post, saveImage, slow, waitForEnd, waitForRunning } from './prompts.ts';

/** Invariant 9 (limits), bad input, repeated prompts, secrets, origins. */

let system: TestSystem;
let api: RawHttp;

beforeAll(async () => {
  system = await startSystem({
    env: { NODES_DIR: 'tests/fixtures/nodes', WORKER_CONCURRENCY: '2' },
    configYaml: [
      'queue: { maxPending: 20 }',
      'api: { maxBodyBytes: 300000, maxUploadBytes: 50000, maxPromptNodes: 500, maxSockets: 30, maxPixels: 1000000 }',
    ].join('\n'),
  });
  api = http(system.url);
});

afterAll(stopEverything);

const typeOf = (answer: { text: string }) =>
  (JSON.parse(answer.text) as { error: { type: string } }).error.type;

describe('limits', () => {
  test('a body over the limit is refused, with a length or without', async () => {
    const big = JSON.stringify({ prompt: saveImage(), pad: 'x'.repeat(400_000) });
    const answer = await api.post('/prompt', big);
    expect([answer.status, typeOf(answer)]).toEqual([413, 'body_too_large']);
    const chunked = await sendChunked(system.url, 400_000);
    expect(chunked).toContain('413');
    expect((await api.get('/prompt')).status).toBe(200);
  });

  test('an upload over the limit is refused and leaves no file', async () => {
    const form = new FormData();
    form.set('image', new Blob([Buffer.alloc(100_000)]), 'big.png');
    const answer = await fetch(`${system.url}/upload/image`, { method: 'POST', body: form });
    expect(answer.status).toBe(413);
    expect((await api.get('/internal/files/input')).json()).toEqual([]);
  });

  test('a prompt with too many nodes is refused in ComfyUI’s shape', async () => {
    const nodes = Object.fromEntries(
      Array.from({ length: 501 }, (_, n) => [String(n), { class_type: 'A', inputs: {} }]),
    );
    const answer = await api.post('/prompt', { prompt: nodes });
    expect([answer.status, typeOf(answer)]).toEqual([413, 'prompt_too_large']);
  });

  test('one waiting job too many is refused with 429 and Retry-After; nothing is lost', async () => {
    const busy = await post(api, slow(40, 0.05), { client_id: 'limit' });
    await waitForRunning(api, busy);
    const answers = [];
    for (let n = 0; n < 25; n += 1) {
      answers.push(await api.post('/prompt', { prompt: saveImage(), client_id: 'limit' }));
    }
    const statuses = answers.map((answer) => answer.status);
    expect(statuses.filter((status) => status === 200)).toHaveLength(20);
    expect(statuses.slice(20)).toEqual([429, 429, 429, 429, 429]);
    expect(answers[20]!.headers['retry-after']).toBeDefined();
    await api.post('/interrupt', { prompt_id: busy });
    await until(async () => (await api.get('/prompt')).text.includes('"queue_remaining":0'));
  });

  test('one socket too many is refused with 503', async () => {
    const sockets = await Promise.all(
      Array.from({ length: 30 }, (_, n) => connectSocket(system.url, { clientId: `s${n}` })),
    );
    await expect(connectSocket(system.url, { clientId: 'one-more' })).rejects.toThrow(/503/);
    await Promise.all(sockets.map((socket) => socket.close()));
    await until(async () => {
      await (await connectSocket(system.url)).close();
      return true;
    });
  });
});

describe('bad input', () => {
  test.each([
    ['POST', '/prompt', 'not json', 400],
    ['POST', '/prompt', '', 400],
    ['POST', '/prompt', '[1,2]', 400],
    ['POST', '/prompt', '{"prompt":"a string"}', 400],
    ['POST', '/prompt', '{"prompt":{},"number":"x"}', 400],
    ['POST', '/prompt', '{"prompt":{},"extra_data":[1]}', 400],
    ['POST', '/prompt', '{"prompt":{"1":{"class_type":"KSampler","inputs":{"seed":NaN}}}}', 400],
    ['POST', '/prompt', '\u0000\u0001', 400],
    ['POST', '/queue', '{', 400],
    ['POST', '/queue', '{"delete":"x"}', 400],
    ['POST', '/history', '[]', 400],
    ['GET', '/history?max_items=abc', undefined, 400],
    ['GET', '/history/%zz', undefined, 400],
    ['GET', '/api/jobs?status=nope', undefined, 400],
    ['GET', '/api/jobs?limit=0', undefined, 400],
    ['GET', '/api/jobs?sort_by=constructor', undefined, 400],
    ['GET', '/api/jobs?limit=99999999999999999999', undefined, 200],
    ['GET', '/history?max_items=99999999999999999999&offset=99999999999999999999', undefined, 200],
    ['POST', '/api/jobs/cancel', '{"job_ids":[1]}', 400],
    ['GET', '/api/jobs/unknown', undefined, 404],
    ['GET', '/nope', undefined, 404],
    ['DELETE', '/prompt', undefined, 405],
  ])('%s %s %j is answered with %s', async (method, path, body, status) => {
    const answer = await api.request(method, path, body);
    expect(answer.status).toBe(status);
    expect(answer.text).not.toMatch(/node_modules|\/work\/|at \w+ \(/);
    if (status === 400) expect(answer.headers['content-type']).toContain('application/json');
  });

  test('a body that is deeply nested, or one endless number, is refused quickly', async () => {
    const deep = await api.post('/prompt', `{"prompt":${'['.repeat(90_000)}${']'.repeat(90_000)}}`);
    const long = await api.post('/prompt', `{"prompt":{},"number":${'9'.repeat(200_000)}}`);
    expect([deep.status, long.status]).toEqual([400, 400]);
  });

  test('raw bytes that are no HTTP do not hurt the process', async () => {
    await new Promise((resolve) => {
      const { port } = new URL(system.url);
      const socket = connect(Number(port), '127.0.0.1', () =>
        socket.end('\u0000\u0001garbage\r\n\r\n'),
      );
      socket.on('error', resolve);
      socket.on('close', resolve);
      socket.resume();
    });
    expect((await api.get('/prompt')).status).toBe(200);
  });
});

describe('a prompt_id of the client', () => {
  test('is kept; the same body again is answered alike and runs once; another body is refused', async () => {
    const body = { prompt: saveImage('once'), prompt_id: 'odd:id/1 "x"', client_id: 'c' };
    const first = await api.post('/prompt', body);
    const again = await api.post('/prompt', body);
    expect(again.text).toBe(first.text);
    await waitForEnd(api, body.prompt_id);
    expect((await api.post('/prompt', body)).text).toBe(first.text);
    const other = await api.post('/prompt', { ...body, prompt: saveImage('twice') });
    expect([other.status, typeOf(other)]).toEqual([409, 'prompt_id_conflict']);
    const names = (await api.get('/internal/files/output')).json() as string[];
    expect(names.filter((name) => name.startsWith('once'))).toHaveLength(1);
  });
});

describe('secrets in extra_data', () => {
  test('appear in no listing, no log, and not in the files of Redis', async () => {
    const secret = 'sk-very-secret-0123456789';
    const id = await post(api, slow(4, 0.05), {
      extra_data: { api_key_comfy_org: secret, auth_token_comfy_org: `t-${secret}`, kept: 1 },
    });
    const listings = async () =>
      Promise.all(
        ['/queue', '/history', `/api/jobs/${id}`, '/api/jobs', `/history/${id}`].map(
          async (path) => (await api.get(path)).text,
        ),
      );
    const during = await listings();
    await waitForEnd(api, id);
    const after = await listings();
    for (const text of [...during, ...after]) expect(text).not.toContain(secret);
    expect(after.join()).toContain('"kept":1');
    const logs = [...system.apis, ...system.workers].flatMap((process) => process.logs).join('\n');
    expect(logs).not.toContain(secret);
    const files = readdirSync(system.redis.dataDir, {
      recursive: true,
      withFileTypes: true,
    }).filter((e) => e.isFile());
    expect(files.length).toBeGreaterThan(0);
    for (const file of files) {
      expect(readFileSync(join(file.parentPath, file.name)).includes(secret)).toBe(false);
    }
  });
});

describe('other websites', () => {
  test('may not drive a local server, by HTTP or by WebSocket', async () => {
    const origin = 'http://evil.example';
    expect((await api.get('/prompt', { headers: { origin } })).status).toBe(403);
    await expect(connectSocket(system.url, { headers: { origin } })).rejects.toThrow(/403/);
    const crossSite = { headers: { 'sec-fetch-site': 'cross-site' } };
    expect((await api.get('/prompt', crossSite)).status).toBe(403);
    expect((await api.get('/prompt', { headers: { origin: system.url } })).status).toBe(200);
  });
});

describe('event streams', () => {
  test('callers that leave at once leave nothing behind', async () => {
    const id = await post(api, slow(30, 0.05));
    const { port } = new URL(system.url);
    for (let n = 0; n < 60; n += 1) {
      await new Promise<void>((resolve) => {
        const socket = connect(Number(port), '127.0.0.1', () => {
          socket.write(`GET /api/jobs/${id}/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`, () => {
            socket.resetAndDestroy();
          });
        });
        socket.on('error', () => undefined);
        socket.on('close', () => {
          resolve();
        });
      });
    }
    // maxSockets is 30: sixty leaks would refuse this one.
    const stream = await api.get(`/api/jobs/${id}/events`);
    expect([stream.status, stream.text.includes('execution_success')]).toEqual([200, true]);
  });

  test('of a job that is deleted while it waits end with it', async () => {
    const busy = await post(api, slow(60, 0.05), { client_id: 'sse' });
    const waiting = await post(api, saveImage(), { client_id: 'sse' });
    const stream = api.get(`/api/jobs/${waiting}/events`);
    await letTimePass(100); // the stream is open
    await api.post('/queue', { delete: [waiting] });
    expect([200, 404]).toContain((await stream).status);
    await api.post('/interrupt', { prompt_id: busy });
    await waitForEnd(api, busy);
  });
});

describe('a failing job', () => {
  test('tells which node failed and how, in history and in /api/jobs', async () => {
    const id = await post(api, slow(4, 0.01, 2));
    const [type, data] = lastMessage(await waitForEnd(api, id));
    expect(type).toBe('execution_error');
    expect(data).toMatchObject({
      node_id: '1',
      node_type: 'SlowPreview',
      exception_type: 'RuntimeError',
      exception_message: 'sampler exploded\n',
    });
    const job = (await api.get(`/api/jobs/${id}`)).json() as Record<string, unknown>;
    expect(job).toMatchObject({ status: 'failed', execution_error: { node_id: '1' } });
  });
});

/** Sends a chunked body without an end and returns the status line of the answer. */
function sendChunked(url: string, size: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const { port } = new URL(url);
    const socket = connect(Number(port), '127.0.0.1', () => {
      socket.write(
        'POST /prompt HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n',
      );
      for (let sent = 0; sent < size; sent += 10_000)
        socket.write(`2710\r\n${'x'.repeat(10_000)}\r\n`);
    });
    socket.on('error', reject);
    socket.once('data', (data) => {
      socket.destroy();
      resolve(data.toString('latin1').split('\r\n')[0] ?? '');
    });
  });
}
