import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  startSystem,
  startWebhookReceiver,
  stopEverything,
  until,
  type TestSystem,
} from '@tiercel/testkit';
import { httpWithKey, makeKey } from './keys.ts';
import { post, saveImage, slow, waitForWorker } from './prompts.ts';

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
  const enter = async (tenant: string) => {
    const { key } = await makeKey(system.options, '--tenant', tenant, '--plan', 'pro');
    const api = httpWithKey(system.url, key);
    const receiver = await startWebhookReceiver();
    const webhook = { url: `${receiver.url}/hook` };
    const postAs = (id: string, prompt: object) =>
      post(api, prompt, { prompt_id: id, extra_data: { webhook } });
    return { api, receiver, postAs };
  };
  const [acme, other] = [await enter('acme'), await enter('other')];
  const receivers = [acme.receiver, other.receiver];
  await waitForWorker(acme.api);

  await acme.postAs('runs', slow(10, 0.1));
  await other.postAs('deleted', saveImage());
  await acme.postAs('same', saveImage());
  await other.postAs('same', saveImage());
  expect((await other.api.post('/queue', { delete: ['deleted'] })).status).toBe(200);
  await until(() => receivers[0]?.typesOf('runs').includes('job.completed') === true, 20_000);
  for (const receiver of receivers) {
    await until(() => receiver.typesOf('same').includes('job.completed'), 20_000);
  }
  await until(() => receivers[1]?.typesOf('deleted').includes('job.interrupted') === true, 20_000);
  expect(receivers[0]?.typesOf('deleted')).toEqual([]);
  expect(receivers[1]?.typesOf('runs')).toEqual([]);

  const { status, text: deliveries } = await other.api.get('/api/webhooks/deliveries');
  expect(status).toBe(200);
  expect(deliveries).toContain('"same"');
  for (const text of [deliveries, JSON.stringify(receivers.map(({ received }) => received))]) {
    expect(text).not.toContain('\u001f');
    expect(text).not.toContain(String.raw`\u001f`);
  }
});
