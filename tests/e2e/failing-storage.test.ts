import { existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import {
  http,
  spawnProcess,
  startApi,
  startFakeComfyUi,
  startTestRedis,
  startWorker,
  stopEverything,
  until,
  makeTempFolder,
  type RawHttp,
  type ServiceOptions,
  type SpawnedProcess,
} from '@tiercel/testkit';
import { tiersLine } from './comfyui-system.ts';
import { lastMessage, post, saveImage, waitForEnd } from './prompts.ts';

/** A data folder that cannot be used, and nodes that name files: callers are told what, operators where and why. */

const NODES = { NODES_DIR: 'tests/fixtures/nodes' };
/** Linux has a folder that nobody can write to, root neither. */
const READ_ONLY = '/sys';
const onLinux = existsSync(join(READ_ONLY, 'kernel')) ? test : test.skip;

afterEach(stopEverything);

interface LogLine {
  readonly level: number;
  readonly msg: string;
  readonly promptId?: string;
  readonly err?: unknown;
  readonly [field: string]: unknown;
}

function readLog({ logs }: SpawnedProcess): LogLine[] {
  return logs.flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as LogLine] : []));
}

/** The line that tells why a job failed. */
function failureOf(worker: SpawnedProcess, id: string): Promise<LogLine> {
  return until(() =>
    readLog(worker).find(({ promptId, level, err }) => promptId === id && level >= 40 && err),
  );
}

async function showJob(api: RawHttp, id: string): Promise<string> {
  const routes = [`/history/${id}`, '/api/jobs', `/api/jobs/${id}`, `/api/jobs/${id}/events`];
  return (await Promise.all(routes.map(async (route) => (await api.get(route)).text))).join('\n');
}

async function startOn(
  dataDir: string,
  configYaml = '{}\n',
): Promise<{ api: RawHttp; worker: SpawnedProcess; options: ServiceOptions }> {
  const redis = await startTestRedis();
  const options = { redisUrl: redis.url, dataDir, env: NODES, configYaml };
  const [api, worker] = await Promise.all([startApi(options), startWorker(options)]);
  return { api: http(api.url), worker, options };
}

describe('a folder for results that cannot be written', () => {
  onLinux(
    'ends a job in an error that says so, without a path; the log has path and cause',
    async () => {
      const dataDir = makeTempFolder();
      symlinkSync(READ_ONLY, join(dataDir, 'output'));
      const { api, worker } = await startOn(dataDir);
      const id = await post(api, saveImage());
      const [type, data] = lastMessage(await waitForEnd(api, id));
      expect(type).toBe('execution_error');
      expect(data).toMatchObject({
        node_id: '2',
        node_type: 'SaveImage',
        exception_type: 'storage_unavailable',
        exception_message: expect.stringMatching(
          /^The storage cannot be used now: .* \(E[A-Z]+\)\.\n$/,
        ),
      });
      expect(await showJob(api, id)).not.toMatch(new RegExp(`${dataDir}|${READ_ONLY}`));
      const line = await failureOf(worker, id);
      expect(line).toMatchObject({
        level: 50,
        msg: 'a job failed',
        code: 'storage_unavailable',
        nodeId: '2',
        nodeType: 'SaveImage',
      });
      expect(JSON.stringify(line.err)).toContain(`${dataDir}/output/`);
    },
  );

  onLinux('does the same for what a ComfyUI server has made', async () => {
    const dataDir = makeTempFolder();
    symlinkSync(READ_ONLY, join(dataDir, 'output'));
    const server = await startFakeComfyUi();
    const { api, worker } = await startOn(dataDir, tiersLine([server.url]));
    const id = await post(api, saveImage());
    const [type, data] = lastMessage(await waitForEnd(api, id));
    expect(type).toBe('execution_error');
    expect(data).toMatchObject({ exception_type: 'storage_unavailable' });
    expect(await showJob(api, id)).not.toMatch(new RegExp(`${dataDir}|${READ_ONLY}`));
    expect(JSON.stringify((await failureOf(worker, id)).err)).toContain(`${dataDir}/output/`);
  });

  test('that is full in the middle of a file leaves no half of it', async () => {
    const dataDir = makeTempFolder();
    const redis = await startTestRedis();
    const options = { redisUrl: redis.url, dataDir, configYaml: '{}\n' };
    const api = http((await startApi(options)).url);
    // No file may be larger than 1 KiB: the system refuses the rest, as a full disk does.
    const launcher = join(import.meta.dirname, 'fixtures', 'with-small-files.mjs');
    const worker = await spawnProcess({
      file: launcher,
      env: { DATA_DIR: dataDir, REDIS_URL: redis.url, TIERCEL_CONFIG: '/dev/null' },
    });
    // The picture keeps its workflow, and so passes the limit.
    const extra_data = { extra_pnginfo: { workflow: { nodes: ['x'.repeat(10_000)] } } };
    const id = await post(api, saveImage('half'), { extra_data });
    const [, data] = lastMessage(await waitForEnd(api, id));
    expect(data).toMatchObject({
      exception_type: 'storage_unavailable',
      exception_message:
        'The storage cannot be used now: the file is larger than the system allows (EFBIG).\n',
    });
    expect(await showJob(api, id)).not.toContain(dataDir);
    expect(JSON.stringify((await failureOf(worker, id)).err)).toContain('EFBIG');
    expect((await api.get('/internal/files/output')).json()).toEqual([]);
  });
});

describe('folders for uploads and user files that cannot be written', () => {
  onLinux('answer 503 with a time to come back, and no path', async () => {
    const dataDir = makeTempFolder();
    mkdirSync(join(dataDir, 'user'));
    symlinkSync(READ_ONLY, join(dataDir, 'input'));
    symlinkSync(READ_ONLY, join(dataDir, 'user', 'default'));
    const redis = await startTestRedis();
    const process = await startApi({ redisUrl: redis.url, dataDir });
    const api = http(process.url);
    const form = new FormData();
    form.set('image', new Blob([new Uint8Array(100)]), 'a.png');
    const body = new Response(form);
    const upload = await api.post('/upload/image', Buffer.from(await body.arrayBuffer()), {
      headers: { 'content-type': body.headers.get('content-type') ?? '' },
    });
    const answers = [
      upload,
      await api.post('/userdata/a.json', '{}'),
      await api.post('/settings', { a: 1 }),
      await api.post('/settings/a', '1'),
    ];
    for (const answer of answers) {
      expect(answer.text).not.toMatch(new RegExp(`${dataDir}|${READ_ONLY}`));
      expect(answer.status).toBe(503);
      expect(answer.headers['retry-after']).toBe('10');
      expect(answer.json()).toMatchObject({ error: { type: 'storage_unavailable' } });
    }
    const received = readLog(process).filter(({ msg }) => msg === 'a request failed');
    expect(received).toHaveLength(answers.length);
    expect(JSON.stringify(received[0]?.err)).toContain(`${dataDir}/input/`);
  });
});

test('errors of nodes name files without the folders of the machine, in every answer', async () => {
  const { api, worker } = await startOn(makeTempFolder());
  const expected = {
    system: "ENOENT: no such file or directory, open 'weights.bin'\n",
    module: /^Cannot find module 'lib\.mjs' imported from names-paths\.mjs\n$/,
    itself: 'broken: names-paths.mjs and x.bin\n',
  };
  for (const [how, message] of Object.entries(expected)) {
    const id = await post(api, { '1': { class_type: 'NamesPaths', inputs: { how } } });
    const [type, data] = lastMessage(await waitForEnd(api, id));
    expect(type).toBe('execution_error');
    if (message instanceof RegExp) expect(data.exception_message).toMatch(message);
    else expect(data.exception_message).toBe(message);
    const shown = await showJob(api, id);
    for (const folder of ['/srv', 'private', 'of the machine', process.cwd(), homedir()]) {
      expect(shown).not.toContain(folder);
    }
    const line = await failureOf(worker, id);
    expect(line).toMatchObject({
      level: 40,
      msg: 'a job failed',
      code: 'node_failed',
      nodeId: '1',
    });
    // An operator is told where.
    expect(JSON.stringify(line.err)).toMatch(/\/srv\/private|names-paths\.mjs:\d+/);
  }
});
