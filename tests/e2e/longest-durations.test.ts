import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import {
  connectSocket,
  http,
  startFakeComfyUi,
  startSystem,
  stopEverything,
  until,
} from '@tiercel/testkit';
import { isIdleAfter } from './comfyui-system.ts';
import { post, saveImage, slow, waitForEnd } from './prompts.ts';

afterAll(stopEverything);

/** Every duration of docs/configuration.md with its maximum, as nested settings. */
function readLongest(): Record<string, Record<string, number>> {
  const page = readFileSync(join(import.meta.dirname, '../../docs/configuration.md'), 'utf8');
  const rows = page.matchAll(
    /^\| `(\w+)\.(\w+(?:Ms|Seconds|Days))` \| .*? \| [^|]*?(?:to|up to) (\d+) \|/gm,
  );
  const settings: Record<string, Record<string, number>> = {};
  for (const [, section = '', key = '', max] of rows) {
    settings[section] = { ...settings[section], [key]: Number(max) };
  }
  return settings;
}

test('with every duration at its maximum nothing fires at once: jobs run, sockets live, a stop stops', async () => {
  const settings = readLongest();
  expect(Object.values(settings).flatMap(Object.keys).length).toBeGreaterThan(10);
  const server = await startFakeComfyUi({ classes: ['EmptyImage', 'SaveImage', 'RunMs'] });
  const tiers = [
    { name: 'gpu', driver: 'comfyui', urls: [server.url], timeoutMs: 604_800_000 },
    { name: 'here', driver: 'embedded', timeoutMs: 604_800_000 },
  ];
  const system = await startSystem({
    configYaml: JSON.stringify({ ...settings, tiers }), // YAML reads JSON
    env: { NODES_DIR: 'tests/fixtures/nodes' },
  });
  const api = http(system.url);
  const socket = await connectSocket(system.url, { clientId: 'c' });
  await until(async () => (await api.get('/object_info')).text.includes('RunMs'));
  const run = { '1': { class_type: 'RunMs', inputs: { ms: 300, seed: 1 } } };
  const ids = [
    await post(api, slow(5, 0.1), { client_id: 'c' }),
    await post(api, saveImage(), { client_id: 'c' }),
    await post(
      api,
      {
        ...run,
        '2': { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: 'x' } },
      },
      { client_id: 'c' },
    ),
  ];
  for (const id of ids) {
    expect((await waitForEnd(api, id)).status.status_str).toBe('success');
    await socket.waitForText('executing', isIdleAfter(id));
  }
  expect(socket.textFrames('execution_start')).toHaveLength(ids.length); // each ran once
  const [worker] = system.workers;
  expect(await worker!.stop()).toBe(0);
  expect(worker!.logs.join('\n')).not.toContain('TimeoutOverflowWarning');
});
