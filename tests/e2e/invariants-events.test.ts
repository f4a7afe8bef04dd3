import { afterEach, describe, expect, test } from '@jest/globals';
import {
  connectSocket,
  http,
  startSystem,
  stopEverything,
  until,
  type EventRecorder,
  type RawHttp,
} from '@tiercel/testkit';
import { post, readHistory, saveImage, single, slow, waitForEnd } from './prompts.ts';

/** Invariants 3, 6, 7 and 8: what clients see, and when. */

const NODES = { NODES_DIR: 'tests/fixtures/nodes' };

afterEach(stopEverything);

interface Data {
  readonly prompt_id?: string;
  readonly node?: string | null;
}

const isIdle = (id: string) => (data: unknown) =>
  (data as Data).node === null && (data as Data).prompt_id === id;

function typesOf(socket: EventRecorder, id: string): string[] {
  return socket
    .textFrames()
    .filter((frame) => (frame.data as Data).prompt_id === id)
    .map((frame) => frame.type);
}

describe('order towards the client', () => {
  test('at executing null, history and file are there (invariant 3); the answer came before any event', async () => {
    const system = await startSystem({ apis: 2 });
    const [first, second] = system.apis.map((api) => api.url) as [string, string];
    const socket = await connectSocket(second, { clientId: 'c' });
    for (let n = 0; n < 50; n += 1) {
      const id = `n${n}`;
      const seen = socket.frames.length;
      await post(http(first), saveImage('order'), { client_id: 'c', prompt_id: id });
      const early = socket.frames
        .slice(seen)
        .filter((frame) => 'raw' in frame && String(frame.raw).includes(`"${id}"`));
      expect(early).toEqual([]);
      await socket.waitForText('executing', isIdle(id));
      const item = await readHistory(http(second), id);
      expect(item?.status.completed).toBe(true);
      const { filename } = item!.outputs['2']!.images[0]!;
      expect((await http(first).get(`/view?filename=${filename}`)).status).toBe(200);
    }
  });

  test('a job posted to one API reports to every socket of its client, on any API, and to no other', async () => {
    const system = await startSystem({ apis: 2, env: NODES });
    const [first, second] = system.apis.map((api) => api.url) as [string, string];
    const mine = await Promise.all([
      connectSocket(first, { clientId: 'me' }),
      connectSocket(second, { clientId: 'me', featureFlags: { supports_preview_metadata: true } }),
      connectSocket(second, { clientId: 'me' }),
    ]);
    const other = await connectSocket(second, { clientId: 'other' });
    const id = await post(http(first), slow(3, 0.02), { client_id: 'me' });
    await Promise.all(mine.map((socket) => socket.waitForText('executing', isIdle(id))));
    const [expected] = mine.map((socket) => typesOf(socket, id));
    for (const socket of mine) expect(typesOf(socket, id)).toEqual(expected);
    expect(
      mine.map((socket) => socket.frames.filter((frame) => frame.kind === 'preview').length),
    ).toEqual([3, 3, 3]);
    await until(() => other.textFrames('status').length > 1);
    expect(typesOf(other, id)).toEqual([]);
    expect(other.frames.every((frame) => frame.kind === 'text')).toBe(true);
  });
});

describe('a client that comes back', () => {
  test('learns where its running job is', async () => {
    const system = await startSystem({ apis: 2, env: NODES });
    const socket = await connectSocket(system.url, { clientId: 'c' });
    const id = await post(http(system.url), slow(40, 0.05), { client_id: 'c' });
    await socket.waitForText('progress');
    socket.terminate();
    const again = await connectSocket(system.apis[1]!.url, { clientId: 'c' });
    const executing = await again.waitForText('executing');
    expect(executing.data).toEqual({ node: '1', display_node: '1', prompt_id: id });
    expect(again.textFrames()[0]).toMatchObject({ type: 'status', data: { sid: 'c' } });
    await again.waitForText('progress');
    await again.waitForText('executing', isIdle(id));
    expect(again.textFrames('execution_success')).toHaveLength(1);
  });

  test('is told once what ended while it was away', async () => {
    const system = await startSystem();
    const api = http(system.url);
    const socket = await connectSocket(system.url, { clientId: 'c' });
    await socket.close();
    const id = await post(api, saveImage(), { client_id: 'c' });
    await waitForEnd(api, id);
    const again = await connectSocket(system.url, { clientId: 'c' });
    await again.waitForText('executing', isIdle(id));
    expect(typesOf(again, id)).toEqual(['executed', 'execution_success', 'executing']);
    await again.close();
    const third = await connectSocket(system.url, { clientId: 'c' });
    const next = await post(api, saveImage(), { client_id: 'c' });
    await third.waitForText('executing', isIdle(next));
    expect(typesOf(third, id)).toEqual([]);
  });
});

describe('numbers beyond 2^53 (invariant 6)', () => {
  test('a 64-bit seed passes unchanged from the request to queue, history and PNG metadata', async () => {
    const system = await startSystem();
    const api = http(system.url);
    const seed = '18446744073709551615';
    const prompt =
      `{"3":{"class_type":"KSampler","inputs":{"seed":${seed},"steps":2,"cfg":7.0,"sampler_name":"euler","scheduler":"normal",` +
      `"denoise":1.0,"model":["4",0],"positive":["6",0],"negative":["6",0],"latent_image":["5",0]}},` +
      `"4":{"class_type":"CheckpointLoaderSimple","inputs":{"ckpt_name":"sketch.safetensors"}},` +
      `"5":{"class_type":"EmptyLatentImage","inputs":{"width":64,"height":64,"batch_size":1}},` +
      `"6":{"class_type":"CLIPTextEncode","inputs":{"text":"a fox","clip":["4",1]}},` +
      `"8":{"class_type":"VAEDecode","inputs":{"samples":["3",0],"vae":["4",2]}},` +
      `"9":{"class_type":"SaveImage","inputs":{"filename_prefix":"seed","images":["8",0]}}}`;
    const answer = await api.post('/prompt', `{"prompt":${prompt},"prompt_id":"big"}`);
    expect(answer.status).toBe(200);
    const item = await waitForEnd(api, 'big');
    const history = await api.get('/history/big');
    expect(history.text).toContain(prompt);
    const { filename } = item.outputs['9']!.images[0]!;
    const png = await api.get(`/view?filename=${filename}`);
    expect(png.bytes.toString('latin1')).toContain(`"seed": ${seed}, "steps": 2, "cfg": 7.0`);
    expect(png.bytes.toString('latin1')).toContain('"sketch"');
    expect(history.text).toContain('"sketch":true');
    expect((await api.get('/api/jobs/big')).text).toContain(seed);
    expect((await api.get('/object_info/KSampler')).text).toContain('"max":18446744073709551615');
  });
});

describe('a socket that reads nothing (invariant 8)', () => {
  test('loses previews and progress, costs bounded memory, and still learns of every end', async () => {
    const system = await startSystem({
      env: { ...NODES, WORKER_CONCURRENCY: '4' },
      configYaml: [
        'queue: { perClient: parallel }',
        'api: { previewBufferBytes: 50000, progressBufferBytes: 100000, maxSocketBufferBytes: 1000000 }',
      ].join('\n'),
    });
    const api = http(system.url);
    const stuck = await connectSocket(system.url, { clientId: 'c' });
    const healthy = await connectSocket(system.url, { clientId: 'd' });
    stuck.pause();
    const before = await readMemory(api);
    // 8 jobs of 60 previews of 200 KB: far more than the buffers of the kernel take in.
    const ids = await Promise.all(
      Array.from({ length: 8 }, (_, n) =>
        post(api, single('BigPreview', { count: 60, bytes: 200_000, salt: n }), { client_id: 'c' }),
      ),
    );
    const other = await post(api, saveImage(), { client_id: 'd' });
    await healthy.waitForText('executing', isIdle(other));
    for (const id of ids) await waitForEnd(api, id, 60_000);
    expect((await readMemory(api)) - before).toBeLessThan(60_000_000);
    stuck.resume();
    await until(() => ids.every((id) => typesOf(stuck, id).includes('execution_success')));
    const previews = stuck.frames.filter((frame) => frame.kind === 'preview').length;
    expect(previews).toBeLessThan((8 * 60) / 2);
    // What was kept is in order: each job's terminal event is followed by its last `executing`.
    for (const id of ids)
      expect(typesOf(stuck, id).slice(-2)).toEqual(['execution_success', 'executing']);
  }, 90_000);

  test('one that is too slow even for what cannot be dropped is closed, and its client told on return', async () => {
    const system = await startSystem({
      env: NODES,
      configYaml:
        'api: { progressBufferBytes: 1, previewBufferBytes: 100000000, maxSocketBufferBytes: 500000 }',
    });
    const api = http(system.url);
    const stuck = await connectSocket(system.url, { clientId: 'c' });
    stuck.pause();
    const id = await post(api, single('BigPreview', { count: 120, bytes: 200_000, salt: 1 }), {
      client_id: 'c',
    });
    await waitForEnd(api, id, 60_000);
    stuck.resume();
    await stuck.closed;
    expect(typesOf(stuck, id)).not.toContain('execution_success');
    const again = await connectSocket(system.url, { clientId: 'c' });
    await again.waitForText('executing', isIdle(id));
    expect(typesOf(again, id)).toContain('execution_success');
  }, 90_000);
});

async function readMemory(api: RawHttp): Promise<number> {
  const text = (await api.get('/metrics')).text;
  return Number(/^comfy_process_resident_memory_bytes\S* (\S+)$/m.exec(text)?.[1]);
}

describe('server-sent events', () => {
  test('replay a job from the start, follow it, and end with it', async () => {
    const system = await startSystem({ env: NODES });
    const api = http(system.url);
    const id = await post(api, slow(5, 0.05));
    const whole = await api.get(`/api/jobs/${id}/events`);
    expect(whole.headers['content-type']).toContain('text/event-stream');
    const events = [...whole.text.matchAll(/^event: (.*)$/gm)].map((match) => match[1]);
    expect(events[0]).toBe('execution_start');
    expect(events.filter((type) => type === 'progress')).toHaveLength(5);
    expect(events.slice(-2)).toEqual(['execution_success', 'executing']);
    const eventIds = [...whole.text.matchAll(/^id: (.*)$/gm)].map((match) => match[1]!);
    const half = Math.floor(eventIds.length / 2);
    const rest = await api.get(`/api/jobs/${id}/events`, {
      headers: { 'last-event-id': eventIds[half - 1] },
    });
    const restIds = [...rest.text.matchAll(/^id: (.*)$/gm)].map((match) => match[1]);
    // Of progress only the newest is kept: a replay tells where the job is, not each step.
    const typeOf = new Map(eventIds.map((eventId, index) => [eventId, events[index]!]));
    const later = eventIds.slice(half);
    const isKept = (eventId: string) =>
      !typeOf.get(eventId)!.startsWith('progress') ||
      later.findLast((other) => typeOf.get(other) === typeOf.get(eventId)) === eventId;
    expect(restIds).toEqual(later.filter(isKept));
    const nothing = await api.get(`/api/jobs/${id}/events`, {
      headers: { 'last-event-id': eventIds.at(-1) },
    });
    expect(nothing.status).toBe(204);
    expect((await api.get('/api/jobs/unknown/events')).status).toBe(404);
  });
});
