import { afterEach, describe, expect, test } from '@jest/globals';
import {
  connectRaw,
  http,
  startSystem,
  startWorker,
  stopEverything,
  until,
} from '@tiercel/testkit';
import { post, saveImage, waitForEnd } from './prompts.ts';

/** A system that has never had a worker, whose first one is on its way. */

afterEach(stopEverything);

const body = () => ({ prompt: saveImage('first') });

describe('before the first worker has said what it can run', () => {
  test('a prompt is held and then accepted, and GET /prompt tells no sooner that it would be', async () => {
    const system = await startSystem({ workers: 0 });
    const api = http(system.url);
    const refused = await api.get('/prompt');
    expect([refused.status, refused.headers['retry-after']]).toEqual([503, '1']);
    expect(refused.json()).toMatchObject({ error: { type: 'no_worker_known' } });
    expect((await api.get('/health/ready')).json()).toMatchObject({ ready: false, redis: 'ok' });

    const held = [1, 2, 3].map(() => api.post('/prompt', body()));
    // A script that asks until it may post, and then does.
    const patient = until(async () => (await api.get('/prompt')).status === 200, 20_000).then(() =>
      api.post('/prompt', body()),
    );
    const worker = await startWorker(system.options);
    const answers = await Promise.all([...held, patient]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    for (const answer of answers) {
      await waitForEnd(api, (answer.json() as { prompt_id: string }).prompt_id);
    }
    // What is known stays known.
    await worker.stop();
    expect((await api.get('/prompt')).status).toBe(200);
    await post(api, saveImage('later'));
  });

  test('a prompt is refused in the end, and who has left is not waited for', async () => {
    const configYaml = 'api: { firstWorkerWaitMs: 400 }\n';
    const system = await startSystem({ workers: 0, configYaml });
    const api = http(system.url);
    const startedAt = performance.now();
    const refused = await api.post('/prompt', body());
    expect(performance.now() - startedAt).toBeGreaterThan(300);
    expect([refused.status, refused.headers['retry-after']]).toEqual([503, '5']);
    expect(refused.json()).toMatchObject({ error: { type: 'no_worker_known' } });
    const gone = await connectRaw(system.url);
    const text = JSON.stringify(body());
    gone.send(
      `POST /prompt HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: ${text.length}\r\n\r\n${text}`,
    );
    gone.socket.end();
    await gone.closed;
    expect(await system.apis[0]!.stop()).toBe(0);
  });
});
