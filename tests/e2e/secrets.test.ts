import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  connectSocket,
  http,
  startFakeComfyUi,
  startSystem,
  startWorker,
  stopEverything,
  until,
  type EventRecorder,
  type FakeComfyUi,
  type RawHttp,
  type SpawnedProcess,
  type TestSystem,
} from '@tiercel/testkit';
import { isIdleAfter, startCounting } from './comfyui-system.ts';
import { lastMessage, post, saveImage, waitForEnd } from './prompts.ts';

/** What callers and the configuration keep secret is in no answer, event, log line, key, record or file. */

const LOGIN = 'operator:Pool/Pass+word=77';
/** Signs that a URL, JSON and base64 each write in another way. */
const KEY = 'comfyui-"key"/+&=0123456789abcdef';
const TOKEN = `eyJhbGciOiJSUzI1NiJ9.${'Y2xhaW1zLW9mLWEtY2FsbGVy'.repeat(12)}.c2lnbmF0dXJlLW9mLWl0`;
const SECRETS = { api_key_comfy_org: KEY, auth_token_comfy_org: TOKEN };

/** Pieces that tell a secret in any spelling: of its letters, and of the base64 of them at each offset. */
const TELLING: readonly RegExp[] = [
  /0123456789abcdef/i,
  /Y2xhaW1zLW9mLWEtY2FsbGVyY2xh/,
  /c2lnbmF0dXJl/,
  ...[KEY.slice(-16), TOKEN.slice(30, 60)].flatMap((piece) =>
    [0, 1, 2].map((offset) => {
      const encoded = Buffer.from(`${'x'.repeat(offset)}${piece}`).toString('base64');
      return new RegExp(encoded.slice(4, 16).replaceAll('+', '\\+'));
    }),
  ),
];
const TELLING_LOGIN = /Pass(\+|%2B)?word|UGFzcyt3b3Jk|Bhc3Mrd29y|QYXNzK3dvc/i;

let server: FakeComfyUi;
let system: TestSystem;
let api: RawHttp;
let socket: EventRecorder;
const shown: string[] = [];
const successors: SpawnedProcess[] = [];

beforeAll(async () => {
  server = await startFakeComfyUi({ login: LOGIN });
  const [user, password] = LOGIN.split(':').map(encodeURIComponent);
  const address = server.url.replace('://', `://${user}:${password}@`);
  system = await startSystem({
    configYaml: `tiers: [{ name: gpu, driver: comfyui, urls: ['${address}'] }]\nqueue: { lockMs: 2500 }\n`,
    env: { LOG_LEVEL: 'trace' },
  });
  api = http(system.url);
  socket = await connectSocket(system.url, { clientId: 'c' });
  await until(async () => (await api.get('/object_info')).text.includes('CallService'));
});
afterAll(stopEverything);

const call = (where: string, spelling: string) => ({
  '1': { class_type: 'CallService', inputs: { where, spelling } },
});

/** Every way in which a job is shown. */
async function showJob(id: string): Promise<string> {
  const routes = [
    ...[`/history/${id}`, '/history', '/queue', '/api/jobs', `/api/jobs/${id}`],
    ...[`/api/jobs/${id}/events`, '/metrics', '/system_stats', '/health', '/object_info'],
  ];
  const answers = await Promise.all(
    routes.map(async (route) => {
      const { text, headers } = await api.get(route);
      return `${route} ${JSON.stringify(headers)} ${text}`;
    }),
  );
  return answers.join('\n');
}

/** The append-only file has whatever was ever written to Redis; what is deleted later too. */
function readAppendOnlyFile(): string {
  const folder = join(system.redis.dataDir, 'redis', 'appendonlydir');
  return readdirSync(folder)
    .map((file) => readFileSync(join(folder, file), 'latin1'))
    .join('\n');
}

function readNames(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' });
}

const logsOf = (processes: readonly SpawnedProcess[]): string =>
  processes.flatMap(({ logs }) => logs).join('\n');

function expectNoTrace(text: string, patterns: readonly RegExp[]): void {
  for (const pattern of patterns) {
    const found = pattern.exec(text);
    const around =
      found === null ? '' : text.slice(Math.max(0, found.index - 200), found.index + 80);
    expect(around).toBe('');
  }
}

describe('the secrets of a job', () => {
  for (const where of ['error', 'ui', 'message', 'broadcast', 'progress_text', 'file']) {
    test.each(['plain', 'json', 'url', 'base64', 'middle'])(
      `that a server says back in its ${where}, spelled %s, are shown to nobody`,
      async (spelling) => {
        const id = await post(api, call(where, spelling), { client_id: 'c', extra_data: SECRETS });
        const item = await waitForEnd(api, id);
        expect(item.status.status_str).toBe(where === 'error' ? 'error' : 'success');
        const text = `${JSON.stringify(item)}\n${await showJob(id)}`;
        shown.push(text);
        expectNoTrace(text, TELLING);
        if (where === 'error') {
          const [type, data] = lastMessage(item);
          expect(type).toBe('execution_error');
          expect(data.exception_message).toMatch(/^Unauthorized: .*\[redacted\].* was refused\n$/);
          expect(data.current_inputs).toMatchObject({
            where: ['error'],
            api_key_comfy_org: '[redacted]',
            auth_token_comfy_org: '[redacted]',
          });
        }
        if (where === 'ui') expect(JSON.stringify(item.outputs)).toContain('[redacted]');
      },
    );
  }

  test('reach the server itself, which needs them', () => {
    expect(readNames(server.folder).join('\n')).toContain(TOKEN.slice(0, 40));
  });

  test('that are short spoil no text: only what is nothing but the value goes', async () => {
    const extra_data = { api_key_comfy_org: 'e', auth_token_comfy_org: 'refused' };
    const id = await post(api, call('error', 'plain'), { client_id: 'c', extra_data });
    const [type, data] = lastMessage(await waitForEnd(api, id));
    expect(type).toBe('execution_error');
    expect(data.exception_message).toBe('Unauthorized: refused and e was refused\n');
    expect(data.current_inputs).toMatchObject({
      where: ['error'],
      api_key_comfy_org: '[redacted]',
      auth_token_comfy_org: '[redacted]',
    });
  });

  test('are in no frame of a socket, no log line, no key or value of Redis, and no file name', async () => {
    const last = await post(api, call('message', 'plain'), { client_id: 'c', extra_data: SECRETS });
    await socket.waitForText('executing', isIdleAfter(last));
    await until(() => socket.textFrames('my.monitor').length === 5); // one for each spelling, to everybody
    const frames = socket.frames.map((frame) => JSON.stringify(frame)).join('\n');
    expect(frames).toContain('my.service');
    expect(frames).toContain('[redacted]');
    expectNoTrace(frames, TELLING);
    expectNoTrace(logsOf([...system.apis, ...system.workers]), TELLING);
    expectNoTrace(readAppendOnlyFile(), TELLING);
    expectNoTrace(readNames(system.dataDir).join('\n'), TELLING);
  });

  test('are in no log line when Redis fails in the middle', async () => {
    const id = await post(api, call('error', 'plain'), { extra_data: SECRETS });
    await waitForEnd(api, id);
    await system.redis.stop();
    await api.post('/prompt', { prompt: call('ui', 'plain'), extra_data: SECRETS });
    await system.redis.restart();
    await until(async () => (await api.get('/health')).status === 200);
    expectNoTrace(logsOf([...system.apis, ...system.workers]), TELLING);
  });
});

describe('the login in the URL of a server', () => {
  test('opens the server for jobs, for its pages and after it was away', async () => {
    await waitForEnd(api, await post(api, saveImage()));
    expect((await api.get('/')).text).toContain('fake');
    await server.kill9();
    await until(() => logsOf(system.workers).includes('connection to ComfyUI server lost'));
    await server.restart();
    const item = await waitForEnd(api, await post(api, saveImage()), 30_000);
    expect(item.status.status_str).toBe('success');
  });

  test('is not needed in the note by which another worker goes on with a prompt', async () => {
    const [worker] = system.workers;
    const runs = await startCounting(server);
    const id = await post(api, {
      '1': { class_type: 'RunMs', inputs: { ms: 3_000, seed: 1 } },
      '2': { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: 'on' } },
    });
    await until(async () => (await runs()) > 0);
    await worker!.kill9();
    successors.push(await startWorker(system.options));
    expect((await waitForEnd(api, id)).status.status_str).toBe('success');
    expect(await runs()).toBe(1);
  });

  test('is in no answer, frame, log line, key, resume token, heartbeat or file', async () => {
    const keys = readAppendOnlyFile();
    expect(keys).toMatch(/slots:http:\/\/127\.0\.0\.1:\d+\/?#[0-9a-f]{8}/);
    expect(keys).toContain('sealedAddress');
    const files = readNames(system.dataDir).join('\n');
    const logs = logsOf([...system.apis, ...system.workers, ...successors]);
    const now = await showJob('none');
    for (const text of [keys, files, logs, now, ...shown]) expectNoTrace(text, [TELLING_LOGIN]);
  });
});
