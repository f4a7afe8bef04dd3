import { spawn } from 'node:child_process';
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  http,
  makeTempFolder,
  onStopEverything,
  startSystem,
  stopEverything,
  until,
  type RawHttp,
} from '@tiercel/testkit';
import { post, saveImage } from './prompts.ts';

/** The examples of docs/webhooks.md, each run as it stands there against a real delivery. */

const ROOT = join(import.meta.dirname, '../..');
const DOCUMENT = readFileSync(join(ROOT, 'docs/webhooks.md'), 'utf8');
const SECRET = `whsec_${Buffer.alloc(32, 5).toString('base64')}`;

let api: RawHttp;

beforeAll(async () => {
  const { url } = await startSystem({ configYaml: 'webhooks: { allow: ["127.0.0.1"] }\n' });
  api = http(url);
  await api.post('/api/webhooks/secrets', { name: 'shop', secret: SECRET });
});
afterAll(stopEverything);

function readExample(name: string): string {
  const pattern = new RegExp(`<!-- example: ${name} -->\\n+\`\`\`\\w+\\n([^]*?)\`\`\``);
  const text = pattern.exec(DOCUMENT)?.[1];
  if (text === undefined) throw new Error(`docs/webhooks.md has no example ${name}`);
  return text;
}

async function findFreePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function run(command: string, name: string): Promise<{ port: number; said: () => string }> {
  const folder = makeTempFolder();
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  writeFileSync(join(folder, name), readExample(name));
  const port = await findFreePort();
  const child = spawn(command, [name], {
    cwd: folder,
    env: { PATH: process.env.PATH, WEBHOOK_SECRET: SECRET, PORT: String(port) },
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => (said += chunk.toString('utf8')));
  }
  onStopEverything(async () => {
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('close', resolve));
  });
  await until(() => said.includes('ready'));
  return { port, said: () => said };
}

describe.each([
  ['node', 'receive.mjs'],
  ['python3', 'receive.py'],
])('the example for %s', (command, name) => {
  test('believes what is signed, once, and nothing else', async () => {
    const { port, said } = await run(command, name);
    const url = `http://127.0.0.1:${port}/hook`;
    const id = await post(api, saveImage(), {
      extra_data: { webhook: { url, events: ['completed'], secret_ref: 'shop' } },
    });
    const line = `job.completed ${id}`;
    await until(() => said().includes(line), 20_000);

    const list = async () =>
      (
        (await api.get('/api/webhooks/deliveries')).json() as {
          deliveries: { id: string; prompt_id: string; state: string; attempts: object[] }[];
        }
      ).deliveries.find(({ prompt_id }) => prompt_id === id);
    const delivery = await until(async () => {
      const one = await list();
      return one?.state === 'delivered' ? one : undefined;
    });
    await api.post(`/api/webhooks/deliveries/${delivery.id}/redeliver`);
    await until(async () => (await list())?.attempts.length === 2);
    expect(said().split(line)).toHaveLength(2);

    const forged = await fetch(url, {
      method: 'POST',
      body: JSON.stringify({ type: 'job.completed', data: { prompt_id: 'forged' } }),
      headers: {
        'webhook-id': 'msg_forged',
        'webhook-timestamp': String(Math.floor(Date.now() / 1_000)),
        'webhook-signature': `v1,${Buffer.alloc(32).toString('base64')}`,
      },
    });
    expect(forged.status).toBe(401);
    expect(said()).not.toContain('forged');
  });
});
