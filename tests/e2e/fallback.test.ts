import { afterEach, describe, expect, test } from '@jest/globals';
import { connectRedis, createLogger } from '@tiercel/runtime';
import {
  connectSocket,
  http,
  onStopEverything,
  startFakeCloudflare,
  startFakeComfyUi,
  startSystem,
  startWorker,
  stopEverything,
  until,
} from '@tiercel/testkit';
import { isIdleAfter } from './comfyui-system.ts';
import {
  countCalls,
  reportOf,
  startFallbackSystem,
  textToImage,
  type Report,
} from './fallback-system.ts';
import { lastMessage, post, waitForEnd } from './prompts.ts';

/** Image services behind a ComfyUI prompt: what served it, and what happens when one fails (issue 4). */

afterEach(stopEverything);

const SHORT_PAUSES = 'fallback: { breakerOpenMs: 300, breakerMaxOpenMs: 300, patienceMs: 1 }\n';

describe('a text-to-image prompt', () => {
  test('is served by the first tier, with the frames of its own nodes and a full report', async () => {
    const { api, system, primary } = await startFallbackSystem();
    const socket = await connectSocket(system.url, { clientId: 'c' });
    const id = await post(api, textToImage({ text: 'two foxes', batch: 2 }), { client_id: 'c' });
    await socket.waitForText('executing', isIdleAfter(id));
    const executed = socket.textFrames().filter(({ type }) => type === 'executing');
    const nodes = executed.map(({ data }) => (data as { node: string | null }).node);
    expect([...nodes].sort()).toEqual(['3', '4', '5', '6', '7', '8', '9', null].sort());
    expect(nodes.indexOf('3')).toBeLessThan(nodes.indexOf('8'));
    const item = await waitForEnd(api, id);
    expect(item.outputs['9']?.images).toHaveLength(2);
    expect(reportOf(item)).toMatchObject({
      served_by: { tier: 'primary', driver: 'openai', model: 'gpt-image-2' },
      attempts: [{ tier: 'primary', class: 'ok' }],
      degraded: false,
    });
    expect(reportOf(item).dropped_params).toEqual(expect.arrayContaining(['seed', 'steps']));
    const [call] = primary.requests();
    expect(call?.body).toMatchObject({ prompt: 'two foxes', n: 2, model: 'gpt-image-2' });
    const [image] = item.outputs['9']!.images;
    const view = await api.get(`/view?filename=${image!.filename}`);
    expect(view.headers['content-type']).toBe('image/png');
    expect(view.bytes.toString('latin1')).toContain('two foxes');
  });

  test('shows progress by the times of earlier ones, and says that it is a guess', async () => {
    const { api, system, primary } = await startFallbackSystem();
    primary.setLatency(1_500);
    await waitForEnd(api, await post(api, textToImage()));
    const socket = await connectSocket(system.url, { clientId: 'c' });
    const id = await post(api, textToImage(), { client_id: 'c' });
    await socket.waitForText('executing', isIdleAfter(id));
    const guess = { value: expect.any(Number), estimated: true };
    expect(socket.textFrames('progress')).toContainEqual(
      expect.objectContaining({ data: expect.objectContaining({ node: '3', ...guess }) }),
    );
    const shown = socket
      .textFrames('progress_state')
      .flatMap(({ data }) => (data as { nodes: Record<string, object> }).nodes['3'] ?? []);
    expect(shown).toContainEqual(expect.objectContaining(guess));
    expect(shown.at(-1)).toMatchObject({ state: 'finished' });
    expect(shown.at(-1)).not.toHaveProperty('estimated');
  });

  test('tells headers and /api/jobs the same, and a socket only when it asked', async () => {
    const { api, system, primary } = await startFallbackSystem();
    primary.setFault('error');
    const asked = await connectSocket(system.url, {
      clientId: 'c',
      featureFlags: { supports_tiercel_report: true },
    });
    const stock = await connectSocket(system.url, { clientId: 'c' });
    const id = await post(api, textToImage(), { client_id: 'c' });
    await asked.waitForText('executing', isIdleAfter(id));
    await stock.waitForText('executing', isIdleAfter(id));
    const received = asked.textFrames().find(({ type }) => type === 'tiercel_report');
    expect(received?.data).toMatchObject({ prompt_id: id, served_by: { tier: 'dreamshaper' } });
    expect(stock.textFrames().map(({ type }) => type)).not.toContain('tiercel_report');
    const history = await api.get(`/history/${id}`);
    expect(history.headers['x-tiercel-served-by']).toBe('dreamshaper');
    expect(history.headers['x-tiercel-degraded']).toBe('true');
    const job = (await api.get(`/api/jobs/${id}`)).json() as unknown as { tiercel: Report };
    expect(job.tiercel.attempts.map(({ tier, class: kind }) => [tier, kind])).toEqual([
      ['primary', 'server'],
      ['dreamshaper', 'ok'],
    ]);
    const item = (await waitForEnd(api, id)) as unknown as {
      meta: Record<string, { served_by?: object }>;
    };
    expect(item.meta['9']?.served_by).toMatchObject({ tier: 'dreamshaper' });
  });

  test('with its primary failing half its calls at random always succeeds', async () => {
    const { api, primary } = await startFallbackSystem({ config: SHORT_PAUSES });
    primary.setFault({ name: 'error', rate: 0.5, seed: 7 });
    const ids = await Promise.all(Array.from({ length: 30 }, () => post(api, textToImage())));
    for (const id of ids) {
      expect((await waitForEnd(api, id, 60_000)).status.status_str).toBe('success');
    }
    expect(primary.state().counts.faults).toBeGreaterThan(0);
  });

  test('stops asking a dead primary, on every worker', async () => {
    const { api, primary } = await startFallbackSystem({ workers: 2 });
    primary.setFault('error');
    const first = await post(api, textToImage());
    await waitForEnd(api, first);
    await until(async () => {
      await waitForEnd(api, await post(api, textToImage()));
      return countCalls(primary) >= 3;
    });
    // A worker's reading of the breaker may be a fifth of a second old.
    const seen = await until(async () => {
      const before = countCalls(primary);
      const ids = await Promise.all([0, 1, 2, 3].map(() => post(api, textToImage())));
      const items = await Promise.all(ids.map((id) => waitForEnd(api, id)));
      return countCalls(primary) === before ? items : undefined;
    });
    for (const item of seen) {
      const report = reportOf(item);
      expect(report.attempts.map(({ tier }) => tier)).toEqual(['dreamshaper']);
      expect(report.skipped?.map(({ tier }) => tier)).toContain('primary');
    }
  });
});

describe('a refusal that is not the caller’s fault', () => {
  test.each(['invalid_request', 'unknown_model', 'blocked'] as const)(
    'costs one try (%s): the next tier serves, and the first is left alone',
    async (fault) => {
      const { api, primary } = await startFallbackSystem();
      primary.setFault(fault);
      const reports: Report[] = [];
      for (let count = 0; count < 3; count += 1) {
        reports.push(reportOf(await waitForEnd(api, await post(api, textToImage()))));
      }
      expect(reports.map(({ served_by }) => served_by?.tier)).toEqual(Array(3).fill('dreamshaper'));
      expect(reports[0]?.attempts[0]).toMatchObject({ tier: 'primary', class: 'config' });
      expect(countCalls(primary)).toBe(1);
    },
  );
});

describe('FLUX.2 on Cloudflare', () => {
  test('paints after a text, and after a picture', async () => {
    const flux = await startFakeCloudflare();
    const system = await startSystem({
      configYaml: `tiers: [{ name: flux, driver: cloudflare, url: "${flux.url}/client/v4", accountId: acc, apiKey: key, model: "@cf/black-forest-labs/flux-2-klein-4b" }]\n`,
    });
    const api = http(system.url);
    const item = await waitForEnd(api, await post(api, textToImage({ size: 512 })));
    expect(reportOf(item)).toMatchObject({
      served_by: { tier: 'flux', model: '@cf/black-forest-labs/flux-2-klein-4b' },
      dropped_params: expect.arrayContaining(['negative', 'steps', 'cfg', 'sampler']),
    });
    const graph = textToImage({ size: 512 });
    const painted = item.outputs['9']!.images[0]!;
    const name = `${painted.filename} [output]`;
    const afterPicture = {
      ...graph,
      '3': { ...graph['3']!, inputs: { ...graph['3']!.inputs, denoise: 0.6 } },
      '10': { class_type: 'LoadImage', inputs: { image: name } },
      '5': { class_type: 'VAEEncode', inputs: { pixels: ['10', 0], vae: ['4', 2] } },
    };
    const second = await waitForEnd(api, await post(api, afterPicture));
    expect(reportOf(second)).toMatchObject({
      dropped_params: expect.arrayContaining(['denoise']),
      changed_params: [{ param: 'init_image', asked: '512x512', used: '496x496' }],
    });
    const [first, last] = flux.requests();
    expect([first?.files.length, last?.files[0]?.field]).toEqual([0, 'input_image_0']);
  });
});

describe('what ends a job', () => {
  test.each([
    ['safety', 'content_refused'],
    ['invalid_prompt', 'request_rejected'],
  ] as const)('%s is told on the sampler and tried nowhere else', async (fault, code) => {
    const { api, primary, second } = await startFallbackSystem();
    primary.setFault(fault);
    const item = await waitForEnd(api, await post(api, textToImage()));
    const [type, data] = lastMessage(item);
    expect(type).toBe('execution_error');
    expect(data).toMatchObject({ node_id: '3', node_type: 'KSampler', exception_type: code });
    expect(countCalls(second)).toBe(0);
  });

  test('running out of tiers names the attempts, and hides keys and vendors’ raw answers', async () => {
    const { api, primary, second } = await startFallbackSystem({ config: SHORT_PAUSES });
    primary.setFault('unauthorized');
    second.setFault('unavailable');
    const item = await waitForEnd(api, await post(api, textToImage()));
    const [, data] = lastMessage(item);
    expect(data).toMatchObject({ node_id: '3', exception_type: 'no_tier' });
    const text = JSON.stringify(item);
    expect(data.exception_message).toContain('primary (openai): config');
    expect(data.exception_message).toContain('dreamshaper (cloudflare): ');
    for (const secret of ['key-1', 'key-2', '<html', '.ts:']) expect(text).not.toContain(secret);
    primary.setFault(undefined);
    second.setFault(undefined);
    await until(async () => {
      const later = await waitForEnd(api, await post(api, textToImage()));
      return later.status.status_str === 'success';
    });
  });

  test('the caller’s policy never keeps the job on the first tier', async () => {
    const { api, primary, second } = await startFallbackSystem();
    primary.setFault('error');
    const extra_data = { fallback: 'never' };
    const item = await waitForEnd(api, await post(api, textToImage(), { extra_data }));
    expect(lastMessage(item)[0]).toBe('execution_error');
    expect(countCalls(second)).toBe(0);
  });

  test('a policy that is none is refused at once, in ComfyUI’s shape', async () => {
    const { api } = await startFallbackSystem();
    for (const extra_data of [{ fallback: 'sometimes' }, { cache: 'no' }]) {
      const answer = await api.post('/prompt', { prompt: textToImage(), extra_data });
      expect(answer.status).toBe(400);
      expect(answer.json()).toMatchObject({ error: { type: 'bad_request' }, node_errors: {} });
    }
  });

  test('an interrupt cancels the call', async () => {
    const { api, primary } = await startFallbackSystem();
    primary.setFault('hang');
    const id = await post(api, textToImage());
    await until(() => primary.state().counts.running > 0);
    await api.post('/interrupt', { prompt_id: id });
    expect(lastMessage(await waitForEnd(api, id))[0]).toBe('execution_interrupted');
    await until(() => primary.state().counts.running === 0);
  });
});

describe('graphs that only some tiers can do', () => {
  test('a graph without a sampler runs in the worker', async () => {
    const { api, primary } = await startFallbackSystem();
    const prompt = {
      '1': { class_type: 'EmptyImage', inputs: { width: 64, height: 64, batch_size: 1, color: 1 } },
      '2': { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: 'x' } },
    };
    const item = await waitForEnd(api, await post(api, prompt));
    expect(reportOf(item)).toMatchObject({ served_by: { tier: 'embedded' }, degraded: false });
    expect(countCalls(primary)).toBe(0);
  });

  test('what services cannot honour goes past them to ComfyUI, and the report names the node', async () => {
    const comfy = await startFakeComfyUi({ name: 'gpu' });
    const { api, primary } = await startFallbackSystem({
      moreTiers: `{ name: gpu, driver: comfyui, urls: ["${comfy.url}"] }`,
    });
    const prompt = textToImage({ text: 'a fox, embedding:style' });
    const report = reportOf(await waitForEnd(api, await post(api, prompt)));
    expect(report.attempts.map(({ tier }) => tier)).toEqual(['gpu']);
    expect(report.skipped?.find(({ tier }) => tier === 'primary')?.reason).toContain('node 6');
    expect(countCalls(primary)).toBe(0);
  });

  test('what the configuration lets out is left out, and that is told', async () => {
    const { api } = await startFallbackSystem({ config: 'fallback: { mayOmit: [embedding] }\n' });
    const prompt = textToImage({ text: 'a fox, embedding:style' });
    const report = reportOf(await waitForEnd(api, await post(api, prompt)));
    expect(report).toMatchObject({ served_by: { tier: 'primary' }, degraded: true });
    expect(report.omitted?.[0]).toContain('node 6');
  });
});

describe('stored results', () => {
  test('an equal job is answered at once as fully cached, whatever its ids; cache: false runs', async () => {
    const { api, primary } = await startFallbackSystem();
    const graph = textToImage({ seed: 4242 });
    const first = await waitForEnd(api, await post(api, graph));
    const again = await waitForEnd(api, await post(api, graph));
    expect(countCalls(primary)).toBe(1);
    expect(reportOf(again)).toMatchObject({ cached: true, served_by: { tier: 'primary' } });
    expect(again.outputs).toEqual(first.outputs);
    const [, cached] = again.status.messages.find(([type]) => type === 'execution_cached')!;
    expect((cached.nodes as string[]).sort()).toEqual(Object.keys(graph).sort());
    await waitForEnd(api, await post(api, graph, { extra_data: { cache: false } }));
    expect(countCalls(primary)).toBe(2);
  });

  test('equal jobs at once run once, also across workers', async () => {
    const { api, primary } = await startFallbackSystem({ workers: 2 });
    primary.setLatency(700);
    const graph = textToImage({ seed: 777 });
    const ids = await Promise.all([0, 1, 2, 3, 4, 5].map(() => post(api, graph)));
    const items = await Promise.all(ids.map((id) => waitForEnd(api, id)));
    expect(countCalls(primary)).toBe(1);
    expect(items.filter((item) => reportOf(item).cached === true)).toHaveLength(5);
  });

  test('a degraded result never answers for the primary once it is back', async () => {
    const { api, primary } = await startFallbackSystem({ config: SHORT_PAUSES });
    primary.setFault('error');
    const graph = textToImage({ seed: 99 });
    const first = await waitForEnd(api, await post(api, graph));
    expect(reportOf(first).degraded).toBe(true);
    primary.setFault(undefined);
    const back = await until(async () => {
      const item = await waitForEnd(api, await post(api, graph));
      return reportOf(item).served_by?.tier === 'primary' ? item : undefined;
    });
    expect(reportOf(back)).toMatchObject({ degraded: false });
  });
});

describe('when a process dies', () => {
  test('a worker killed in the middle of a call loses no job', async () => {
    const { api, primary, system } = await startFallbackSystem({
      config: 'queue: { lockMs: 2500 }\n',
    });
    primary.setFault('hang');
    const id = await post(api, textToImage());
    await until(() => primary.state().counts.running > 0);
    primary.setFault(undefined);
    await startWorker(system.options);
    await system.workers[0]!.kill9();
    const item = await waitForEnd(api, id, 40_000);
    expect(item.status.status_str).toBe('success');
  });

  test('a worker killed while its job waits for a slot is in nobody’s way, and its job is served', async () => {
    const { api, primary, system } = await startFallbackSystem({
      config: 'queue: { lockMs: 1500 }\n',
      primaryKeys: ', concurrency: 1',
      env: { WORKER_CONCURRENCY: '1' },
      workers: 2,
    });
    const prefix = system.options.redisPrefix ?? 'tiercel';
    const silent = createLogger({ level: 'silent', name: 'test' });
    const redis = connectRedis(system.redis.url, 'patient', silent);
    onStopEverything(() => {
      redis.disconnect();
    });
    primary.setLatency(4_000);
    const holds = await post(api, textToImage());
    await until(() => primary.state().counts.running > 0);
    const waits = await post(api, textToImage());
    await until(async () => (await redis.zcard(`${prefix}:slot-waiters`)) === 1);
    const worker = await redis.hget(`${prefix}:job:${waits}`, 'worker');
    const victim = system.workers.find(({ pid }) => worker?.includes(`-${pid}-`));
    await victim!.kill9();
    primary.setLatency(0);
    for (const id of [holds, waits]) {
      const item = await waitForEnd(api, id, 20_000);
      expect(reportOf(item)).toMatchObject({ served_by: { tier: 'primary' }, degraded: false });
    }
  });
});

test('metrics of API and worker tell attempts, breakers and stored answers by tier', async () => {
  const { api, primary } = await startFallbackSystem({ env: { METRICS_PORT: '0' } });
  primary.setFault('quota');
  const graph = textToImage();
  await waitForEnd(api, await post(api, graph));
  await waitForEnd(api, await post(api, graph));
  const text = await until(async () => {
    const { text: shown } = await api.get('/metrics');
    return /comfy_tier_cache_hits_total\{tier="dreamshaper".*\} 1/.test(shown) ? shown : undefined;
  }, 20_000);
  expect(text).toMatch(/comfy_tier_attempts_total\{.*tier="primary".*class="quota".*\} 1/);
  expect(text).toMatch(/comfy_tier_breaker\{.*tier="primary".*state="open".*\} 1/);
  expect(text).toMatch(/attempt_seconds_count\{.*tier="primary".*class="quota".*\} 1/);
  expect(text).toMatch(/attempt_seconds_count\{.*tier="dreamshaper".*class="ok".*\} 1/);
});
