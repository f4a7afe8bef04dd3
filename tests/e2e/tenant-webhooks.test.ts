import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  startSystem,
  startWebhookReceiver,
  stopEverything,
  until,
  type TestSystem,
} from '@tiercel/testkit';
import { makeKey } from './keys.ts';
import { saveImage, slow } from './prompts.ts';

/** Webhooks of two tenants whose jobs have the same id. */

let system: TestSystem;

beforeAll(async () => {
  system = await startSystem({
    env: { NODES_DIR: 'tests/fixtures/nodes', WORKER_CONCURRENCY: '1' },
    configYaml: JSON.stringify({
      auth: { mode: 'required', adminKey: 'the-admin-key-of-this-test' },
      webhooks: { allow: ['127.0.0.1'] },
      queue: { perClient: 'parallel' },
    }),
  });
});
afterAll(stopEverything);

test('each tenant is told of its own jobs, by the ids that it gave', async () => {
  const receivers = [await startWebhookReceiver(), await startWebhookReceiver()];
  const keys: string[] = [];
  for (const tenant of ['acme', 'other']) {
    keys.push((await makeKey(system.options, '--tenant', tenant, '--plan', 'pro')).key);
  }
  const ask = async (n: number, method: string, path: string, body?: object) => {
    const answer = await fetch(`${system.url}${path}`, {
      ...{ method, headers: { 'x-api-key': keys[n] ?? '' } },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    expect(answer.status).toBe(200);
    return (await answer.text()) || '{}';
  };
  const post = (n: number, id: string, prompt: object) =>
    ask(n, 'POST', '/prompt', {
      ...{ prompt, prompt_id: id },
      extra_data: { webhook: { url: `${receivers[n]?.url ?? ''}/hook` } },
    });
  await until(async () => {
    const answer = await fetch(`${system.url}/object_info`, {
      headers: { 'x-api-key': keys[0] ?? '' },
    });
    return answer.ok;
  }, 20_000);

  await post(0, 'runs', slow(10, 0.1));
  await post(1, 'deleted', saveImage());
  await post(0, 'same', saveImage());
  await post(1, 'same', saveImage());
  await ask(1, 'POST', '/queue', { delete: ['deleted'] });
  await until(() => receivers[0]?.typesOf('runs').includes('job.completed') === true, 20_000);
  for (const receiver of receivers) {
    await until(() => receiver.typesOf('same').includes('job.completed'), 20_000);
  }
  await until(() => receivers[1]?.typesOf('deleted').includes('job.interrupted') === true, 20_000);
  expect(receivers[0]?.typesOf('deleted')).toEqual([]);
  expect(receivers[1]?.typesOf('runs')).toEqual([]);

  const deliveries = await ask(1, 'GET', '/api/webhooks/deliveries');
  expect(deliveries).toContain('"same"');
  for (const text of [deliveries, JSON.stringify(receivers.map(({ received }) => received))]) {
    expect(text).not.toContain('\u001f');
    expect(text).not.toContain(String.raw`\u001f`);
  }
});
