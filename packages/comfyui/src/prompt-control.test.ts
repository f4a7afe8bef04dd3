import { randomUUID } from 'node:crypto';
import { afterAll, expect, test } from '@jest/globals';
import { startFakeComfyUi, stopEverything, until } from '@tiercel/testkit';
import { cancelPrompt } from './prompt-control.ts';
import { createComfyClient } from './comfy-client.ts';
import { runMs } from './comfy-client.test-helpers.ts';
import type { Ending } from './prompt-ending.ts';

afterAll(stopEverything);

test('a server that has fallen silent holds nobody up', async () => {
  const fake = await startFakeComfyUi();
  const client = createComfyClient({ baseUrl: fake.url, timeoutMs: 60_000 });
  const id = randomUUID();
  await client.submit(runMs(600_000, id));
  await until(async () => (await client.readQueue()).running.includes(id));
  const neverEnds = new Promise<Ending>(() => undefined);
  fake.signal('SIGSTOP');
  expect(await cancelPrompt(client, id, neverEnds)).toBe('unconfirmed');
  fake.signal('SIGCONT');
  await until(async () => (await fake.state()).interrupts.includes(id));
  expect(await cancelPrompt(client, id, neverEnds)).toBe('gone');
});
