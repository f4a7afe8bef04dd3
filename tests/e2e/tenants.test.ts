import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  connectSocket,
  startSystem,
  stopEverything,
  until,
  type EventRecorder,
  type TestSystem,
} from '@tiercel/testkit';
import sharp from 'sharp';
import { isIdleAfter } from './comfyui-system.ts';
import { makeKey } from './keys.ts';
import { slow } from './prompts.ts';

/** Two tenants with the same names for everything, at the same time, on two APIs and two workers. */

afterAll(stopEverything);

interface Tenant {
  readonly name: string;
  readonly color: { r: number; g: number; b: number };
  ask(path: string, init?: RequestInit): Promise<Response>;
  read(path: string): Promise<unknown>;
  post(path: string, body: object | string): Promise<Response>;
  listen(clientId: string, api?: number): Promise<EventRecorder>;
}

let system: TestSystem;
let red: Tenant;
let blue: Tenant;

async function enter(name: string, color: Tenant['color']): Promise<Tenant> {
  const { key } = await makeKey(system.options, '--tenant', name, '--plan', 'pro');
  const ask: Tenant['ask'] = (path, init = {}) =>
    fetch(`${system.url}${path}`, { ...init, headers: { 'x-api-key': key } });
  return {
    ...{ name, color, ask },
    read: async (path) => (await ask(path)).json(),
    post: (path, body) =>
      ask(path, { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body) }),
    listen: (clientId, api = 0) =>
      connectSocket(`${system.apis[api]?.url}?token=${key}`, { clientId }),
  };
}

beforeAll(async () => {
  system = await startSystem({
    ...{ apis: 2, workers: 2 },
    env: { NODES_DIR: 'tests/fixtures/nodes' },
    configYaml: 'auth: { mode: required }\n',
  });
  red = await enter('red', { r: 255, g: 0, b: 0 });
  blue = await enter('Blue & Söhne', { r: 0, g: 0, b: 255 });
  await until(async () => (await red.ask('/prompt')).ok, 20_000);
});

const both = <T>(act: (tenant: Tenant) => Promise<T>): Promise<[T, T]> =>
  Promise.all([act(red), act(blue)]);

async function upload(tenant: Tenant, name: string): Promise<unknown> {
  const size = { width: 16, height: 16, channels: 3 as const };
  const picture = await sharp({ create: { ...size, background: tenant.color } })
    .png()
    .toBuffer();
  const form = new FormData();
  form.set('image', new Blob([new Uint8Array(picture)], { type: 'image/png' }), name);
  return (await tenant.ask('/upload/image', { method: 'POST', body: form })).json();
}

const copy = {
  '1': { class_type: 'LoadImage', inputs: { image: 'same.png' } },
  '2': { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: 'same' } },
};
const idsOf = (queue: unknown): string[] => {
  const { queue_running: running, queue_pending: pending } = queue as Record<string, [0, string][]>;
  return [...(running ?? []), ...(pending ?? [])].map(([, id]) => id);
};

describe('two tenants with equal names for everything', () => {
  test('get each their own picture, number, events and history', async () => {
    expect(await both((tenant) => upload(tenant, 'same.png'))).toEqual(
      [1, 2].map(() => ({ name: 'same.png', subfolder: '', type: 'input' })),
    );
    const sockets = await both((tenant) => tenant.listen('same', tenant === red ? 0 : 1));
    const answers = await both(async (tenant) => {
      const body = { prompt: copy, prompt_id: 'same', client_id: 'same' };
      return await (await tenant.post('/prompt', body)).json();
    });
    expect(answers).toEqual([1, 2].map(() => ({ prompt_id: 'same', number: 0, node_errors: {} })));
    for (const socket of sockets) await socket.waitForText('executing', isIdleAfter('same'));
    const seen = await both(async (tenant) => {
      const history = (await tenant.read('/history')) as Record<
        string,
        { outputs: { '2': { images: Record<string, string>[] } } }
      >;
      expect(Object.keys(history)).toEqual(['same']);
      const [image] = history.same?.outputs['2'].images ?? [];
      expect(image).toEqual({ filename: 'same_00001_.png', subfolder: '', type: 'output' });
      const query = new URLSearchParams(image).toString();
      const bytes = await (await tenant.ask(`/view?${query}`)).arrayBuffer();
      const { channels } = await sharp(Buffer.from(bytes)).stats();
      return channels.slice(0, 3).map(({ mean }) => mean);
    });
    expect(seen).toEqual([red, blue].map(({ color: { r, g, b } }) => [r, g, b]));
    for (const socket of sockets) {
      const executed = socket.textFrames('executed');
      expect(executed).toHaveLength(1);
      const counts = socket
        .textFrames('status')
        .map(({ data }) => (data as { status: { exec_info: object } }).status.exec_info);
      expect(counts.every((info) => JSON.stringify(info).match(/:[01]}$/))).toBe(true);
      await socket.close();
    }
  });

  test('are told where their own job is when they come back, and nothing of the other', async () => {
    const post = (tenant: Tenant, seconds: number) =>
      tenant.post('/prompt', {
        ...{ prompt: slow(seconds * 10, 0.1), prompt_id: 'long', client_id: 'back' },
      });
    await post(red, 60);
    const own = await red.listen('back', 1);
    await own.waitForText('progress_state');
    const other = await blue.listen('back', 1);
    const everyone = await blue.listen('another');
    expect(await blue.read('/prompt')).toEqual({ exec_info: { queue_remaining: 0 } });
    expect(idsOf(await blue.read('/queue'))).toEqual([]);
    expect((await blue.ask('/api/jobs/long/events')).status).toBe(404);
    // What acts on everything acts on one's own.
    await blue.post('/interrupt', '');
    await blue.post('/interrupt', { prompt_id: 'long' });
    await blue.post('/queue', { clear: true, delete: ['long'] });
    await blue.post('/history', { clear: true, delete: ['same', 'long'] });
    expect(await (await blue.post('/api/jobs/long/cancel', '')).json()).toEqual({
      cancelled: false,
    });
    expect(await blue.read('/history')).toEqual({});
    expect(Object.keys((await red.read('/history')) as object)).toEqual(['same']);
    expect(idsOf(await red.read('/queue'))).toEqual(['long']);
    // The other one's job of that id is another job.
    await post(blue, 1);
    await other.waitForText('executing', isIdleAfter('long'));
    expect(idsOf(await red.read('/queue'))).toEqual(['long']);
    expect(everyone.textFrames().every(({ type }) => type === 'status')).toBe(true);
    await red.post('/interrupt', '');
    await own.waitForText('execution_interrupted');
    await until(async () => idsOf(await red.read('/queue')).length === 0);
    const detail = (await blue.read('/api/jobs/long')) as { status: string };
    expect(detail.status).toBe('completed');
    for (const socket of [own, other, everyone]) await socket.close();
  });

  test('hear of jobs without a client only from their own', async () => {
    const [own, other] = await both((tenant) => tenant.listen(`listens-${tenant.name}`));
    await red.post('/prompt', { prompt: slow(3, 0.05), prompt_id: 'nobody’s' });
    await own.waitForText('progress');
    await until(async () => Object.keys((await red.read('/history/nobody’s')) as object).length);
    await blue.post('/prompt', { prompt: slow(1, 0.05), prompt_id: 'mine' });
    await other.waitForText('progress');
    const ids = other
      .textFrames()
      .flatMap(({ data }) => (data as { prompt_id?: string }).prompt_id ?? []);
    expect([...new Set(ids)]).toEqual(['mine']);
    await own.close();
    await other.close();
  });

  test('have settings, user files and lists of inputs of their own', async () => {
    await red.post('/settings/Comfy.Color', '"red"');
    await red.post('/userdata/notes.json', '{"of":"red"}');
    await upload(red, 'only-red.png');
    expect(await both((tenant) => tenant.read('/settings/Comfy.Color'))).toEqual(['red', null]);
    expect((await blue.ask('/userdata/notes.json')).status).toBe(404);
    const lists = await both(async (tenant) => {
      const info = (await tenant.read('/object_info/LoadImage')) as {
        LoadImage: { input: { required: { image: [string[]] } } };
      };
      return info.LoadImage.input.required.image[0];
    });
    expect(lists).toEqual([['only-red.png', 'same.png'], ['same.png']]);
  });

  test('do not use each other’s results', async () => {
    const flags = await both(async (tenant) => {
      await tenant.post('/prompt', { prompt: slow(2, 0.01), prompt_id: 'equal' });
      return await until(async () => {
        const history = (await tenant.read('/history/equal')) as Record<
          string,
          { status: { messages: [string, { nodes?: string[] }][] } }
        >;
        return history.equal?.status.messages.find(([type]) => type === 'execution_cached')?.[1];
      });
    });
    expect(flags.map(({ nodes }) => nodes)).toEqual([[], []]);
  });
});
