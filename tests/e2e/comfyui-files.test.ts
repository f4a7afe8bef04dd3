import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  connectSocket,
  http,
  startFakeComfyUi,
  startSystem,
  startWorker,
  stopEverything,
  until,
  type FakeComfyUi,
  type RawHttp,
  type TestSystem,
} from '@tiercel/testkit';
import { lastMessage, post, readHistory, saveImage, waitForEnd } from './prompts.ts';

/** What goes to a ComfyUI server for a job, and what comes home from it (issue 3). */

let fake: FakeComfyUi;
let system: TestSystem;
let api: RawHttp;

beforeAll(async () => {
  fake = await startFakeComfyUi();
  const configYaml = `tiers: [{ name: gpu, driver: comfyui, urls: [${fake.url}] }]\n`;
  system = await startSystem({ configYaml });
  api = http(system.url);
});
afterAll(stopEverything);

interface StoredFile {
  readonly filename: string;
  readonly subfolder: string;
  readonly type: string;
}
/** What nodes showed, under any key. */
type Outputs = Record<string, Record<string, unknown[]>>;

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Bytes that no other test has sent, in a file of that kind. */
function makeFile(kind: 'png' | 'flac' | 'mp4' | 'glb'): Buffer {
  if (kind !== 'png') return Buffer.concat([Buffer.from(kind), randomBytes(200)]);
  // A whole 1x1 PNG; what follows its end is no picture any more and makes it unique.
  const pixel =
    'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
  return Buffer.concat([Buffer.from(pixel, 'base64'), randomBytes(16)]);
}

/** @returns the name to put into a prompt, without annotation */
async function upload(
  bytes: Uint8Array,
  name: string,
  fields: Readonly<Record<string, string>> = {},
): Promise<string> {
  const form = new FormData();
  form.set('image', new Blob([Uint8Array.from(bytes)]), name);
  for (const [key, value] of Object.entries(fields)) form.set(key, value);
  const answer = await fetch(`${system.url}/upload/image`, { method: 'POST', body: form });
  expect(answer.status).toBe(200);
  const stored = (await answer.json()) as { name: string; subfolder: string };
  return stored.subfolder === '' ? stored.name : `${stored.subfolder}/${stored.name}`;
}

const load = (image: string): Record<string, unknown> => ({
  '1': { class_type: 'LoadImage', inputs: { image } },
  '2': { class_type: 'PreviewImage', inputs: { images: ['1', 0] } },
});

async function run(prompt: object, more: Readonly<Record<string, unknown>> = {}): Promise<string> {
  const id = await post(api, prompt, more);
  const item = await waitForEnd(api, id);
  expect(lastMessage(item)[0]).toBe('execution_success');
  return id;
}

async function runForOutputs(prompt: object): Promise<Outputs> {
  const item = await readHistory(api, await run(prompt));
  return item!.outputs;
}

async function uploadsOf(bytes: Uint8Array): Promise<number> {
  const { uploads } = await fake.state();
  return uploads.filter((sent) => sent.sha256 === sha256(bytes)).length;
}

/** The inputs of the nodes of the newest prompt that the server was sent. */
async function lastSentInputs(): Promise<Record<string, Record<string, unknown>>> {
  const { prompts } = await fake.state();
  const { prompt } = prompts.at(-1)!.body as { prompt: Record<string, { inputs: object }> };
  return Object.fromEntries(
    Object.entries(prompt).map(([id, { inputs }]) => [id, inputs as Record<string, unknown>]),
  );
}

async function view({ filename, subfolder, type }: StoredFile): Promise<Buffer> {
  const query = new URLSearchParams({ filename, subfolder, type }).toString();
  const answer = await api.get(`/view?${query}`);
  expect([filename, answer.status]).toEqual([filename, 200]);
  return answer.bytes;
}

describe('inputs', () => {
  test('the same content is sent once, whatever its name and whoever sends it', async () => {
    const bytes = makeFile('png');
    await run(load(await upload(bytes, 'mine.png')));
    await run(load(await upload(bytes, 'theirs.png')));
    const { uploads } = await fake.state();
    const names = uploads.filter((sent) => sent.sha256 === sha256(bytes)).map(({ name }) => name);
    expect(names).toEqual([`${sha256(bytes)}.png`]);
  });

  test('two users’ different files of one name do not collide', async () => {
    const [first, second] = [makeFile('png'), makeFile('png')];
    const name = await upload(first, 'photo.png', { subfolder: 'anna' });
    const other = await upload(second, 'photo.png', { subfolder: 'ben' });
    expect([name, other]).toEqual(['anna/photo.png', 'ben/photo.png']);
    await run(load(name));
    expect(JSON.stringify(await lastSentInputs())).toContain(sha256(first));
    await run(load(other));
    expect(JSON.stringify(await lastSentInputs())).toContain(sha256(second));
  });

  test('a file that was replaced under its name is the new one', async () => {
    const [before, after] = [makeFile('png'), makeFile('png')];
    await run(load(await upload(before, 'replaced.png')));
    await run(load(await upload(after, 'replaced.png', { overwrite: 'true' })));
    expect([await uploadsOf(before), await uploadsOf(after)]).toEqual([1, 1]);
  });

  test('masks, audio, video and 3D models are sent as pictures are', async () => {
    const [mask, audio, video, model, shot] = [
      ...[makeFile('png'), makeFile('flac'), makeFile('mp4'), makeFile('glb'), makeFile('png')],
    ] as const;
    const scene = await upload(shot, 'scene.png', { subfolder: 'threed', type: 'temp' });
    const inputs = {
      mask: { image: await upload(mask, 'mask.png'), channel: 'alpha' },
      audio: { audio: await upload(audio, 'sound.flac') },
      video: { file: await upload(video, 'film.mp4') },
      model: {
        model_file: await upload(model, 'mesh.glb', { subfolder: '3d' }),
        image: { image: `${scene} [temp]`, mask: `${scene} [temp]`, normal: '', recording: '' },
        ...{ width: 64, height: 64 },
      },
    };
    const nodes = {
      '1': { class_type: 'LoadImageMask', inputs: inputs.mask },
      '2': { class_type: 'LoadAudio', inputs: inputs.audio },
      '3': { class_type: 'LoadVideo', inputs: inputs.video },
      '4': { class_type: 'Load3D', inputs: inputs.model },
    };
    const shown = Object.keys(nodes).map((id) => [
      `show ${id}`,
      { class_type: 'PreviewAny', inputs: { source: [id, 0] } },
    ]);
    await run({ ...nodes, ...(Object.fromEntries(shown) as object) });
    const sent = await lastSentInputs();
    expect(sent['1']?.image).toBe(`tiercel/${sha256(mask)}.png`);
    expect(sent['2']?.audio).toBe(`tiercel/${sha256(audio)}.flac`);
    expect(sent['3']?.file).toBe(`tiercel/${sha256(video)}.mp4`);
    // ComfyUI's Load3D takes only files below `3d`.
    expect(sent['4']?.model_file).toBe(`3d/tiercel/${sha256(model)}.glb`);
    const rendered = `tiercel/${sha256(shot)}.png`;
    expect(sent['4']?.image).toMatchObject({ image: rendered, mask: rendered, normal: '' });
    for (const bytes of [mask, audio, video, model, shot]) expect(await uploadsOf(bytes)).toBe(1);
  });

  test('an annotated name is looked up in the folder that it names', async () => {
    const [temporary, plain] = [makeFile('png'), makeFile('png')];
    await upload(temporary, 'twin.png', { type: 'temp' });
    await upload(plain, 'twin.png');
    await run(load('twin.png [temp]'));
    expect((await lastSentInputs())['1']?.image).toBe(`tiercel/${sha256(temporary)}.png`);
    await run(load('twin.png [input]'));
    expect((await lastSentInputs())['1']?.image).toBe(`tiercel/${sha256(plain)}.png`);
  });

  test('an output of an earlier job can be the input of the next', async () => {
    const [saved] = (await runForOutputs(saveImage('chain')))['2']?.images as [StoredFile];
    await run(load(`${saved.filename} [output]`));
    const digest = sha256(await view(saved));
    expect((await lastSentInputs())['1']?.image).toBe(`tiercel/${digest}.png`);
  });

  test('a file deleted between accept and run ends in an error that names the node', async () => {
    await fake.pauseExecution();
    try {
      const waiting = [await post(api, saveImage()), await post(api, saveImage())];
      await until(async () => {
        const { prompts } = await fake.state();
        return prompts.length >= 2 && Object.keys((await fake.state()).runs).length > 0;
      });
      const name = await upload(makeFile('png'), 'short-lived.png');
      // More jobs than places on the server: the last one waits with us.
      waiting.push(await post(api, saveImage()), await post(api, saveImage()));
      const id = await post(api, load(name), { client_id: 'deleted' });
      rmSync(join(system.dataDir, 'input', name));
      await fake.resume();
      const [type, data] = lastMessage(await waitForEnd(api, id));
      expect(type).toBe('execution_error');
      expect(data).toMatchObject({ node_id: '1', node_type: 'LoadImage' });
      expect(data.exception_message).toContain('short-lived.png');
      for (const other of waiting) await waitForEnd(api, other);
    } finally {
      await fake.reset();
    }
  });

  test('64-bit seeds reach the server digit for digit, also beside an input file', async () => {
    const seed = 18446744073709551615n;
    const name = await upload(makeFile('png'), 'seeded.png');
    const body = (nodes: string): string =>
      `{"prompt":{${nodes}"8":{"class_type":"RunMs","inputs":{"ms":0,"seed":${seed}}},` +
      `"9":{"class_type":"PreviewImage","inputs":{"images":["8",0]}}}}`;
    const withFile =
      `"1":{"class_type":"LoadImage","inputs":{"image":"${name}"}},` +
      `"2":{"class_type":"PreviewImage","inputs":{"images":["1",0]}},`;
    for (const text of [body(''), body(withFile)]) {
      const answer = await api.post('/prompt', text);
      expect(answer.status).toBe(200);
      await waitForEnd(api, (answer.json() as { prompt_id: string }).prompt_id);
      expect((await lastSentInputs())['8']?.seed).toBe(seed);
    }
  });
});

/** Every kind of output that nodes have, in one prompt. */
function everyKind(size = 1): Record<string, { class_type: string; inputs: object }> {
  const prefix = (name: string) => ({ filename_prefix: name });
  const images = ['e', 0];
  return {
    e: { class_type: 'EmptyImage', inputs: { width: 64, height: 48, batch_size: 1, color: size } },
    l: { class_type: 'EmptyLatentImage', inputs: { width: 64, height: 64, batch_size: size } },
    a: { class_type: 'EmptyAudio', inputs: { duration: size, sample_rate: 44100, channels: 2 } },
    m: { class_type: 'FakeMesh', inputs: { size } },
    image: { class_type: 'SaveImage', inputs: { images, ...prefix('sub/picture') } },
    temp: { class_type: 'PreviewImage', inputs: { images } },
    webp: {
      class_type: 'SaveAnimatedWEBP',
      inputs: {
        ...{ images, ...prefix('moving'), fps: 6, lossless: true, quality: 80, method: 'default' },
      },
    },
    video: {
      class_type: 'VHS_VideoCombine',
      inputs: {
        ...{ images, ...prefix('film'), frame_rate: 12, loop_count: 0, format: 'video/h264-mp4' },
        ...{ pingpong: false, save_output: true },
      },
    },
    audio: { class_type: 'SaveAudio', inputs: { audio: ['a', 0], ...prefix('audio/sound') } },
    latent: { class_type: 'SaveLatent', inputs: { samples: ['l', 0], ...prefix('latents/l') } },
    glb: { class_type: 'SaveGLB', inputs: { mesh: ['m', 0], ...prefix('mesh/model') } },
    path: { class_type: 'Save3D', inputs: { mesh: ['m', 0], ...prefix('mesh/shown') } },
    text: { class_type: 'PreviewAny', inputs: { source: ['m', 0] } },
  };
}

describe('outputs', () => {
  /** The keys under which the nodes above show files. */
  const KEYS = {
    ...{ image: 'images', temp: 'images', webp: 'images', video: 'gifs', audio: 'audio' },
    ...{ latent: 'latents', glb: '3d', path: 'result' },
  } as const;

  /** The stored file that a node showed, whether by a reference or by a bare path. */
  function fileOf(outputs: Outputs, node: keyof typeof KEYS): StoredFile {
    const shown = outputs[node]?.[KEYS[node]]?.[0];
    if (typeof shown !== 'string') return shown as StoredFile;
    const slash = shown.lastIndexOf('/');
    return {
      ...{ filename: shown.slice(slash + 1), subfolder: shown.slice(0, slash) },
      type: 'output',
    };
  }

  test('of every kind are ours, viewable, with their extra keys and flags', async () => {
    const outputs = await runForOutputs(everyKind());
    const theirs = { image: 'sub/picture', webp: 'moving', video: 'film', audio: 'audio/sound' };
    const rest = { latent: 'latents/l', glb: 'mesh/model', path: 'mesh/shown' };
    const extensions = { image: 'png', webp: 'webp', video: 'mp4', audio: 'flac' };
    const more = { latent: 'latent', glb: 'glb', path: 'glb' };
    for (const [node, prefix] of Object.entries({ ...theirs, ...rest })) {
      const extension = { ...extensions, ...more }[node as 'image'];
      const upstream = join(fake.folder, 'output', `${prefix}_00001_.${extension}`);
      const bytes = await view(fileOf(outputs, node as 'image'));
      expect([node, sha256(bytes)]).toEqual([node, sha256(readFileSync(upstream))]);
    }
    expect((await view(fileOf(outputs, 'temp'))).subarray(1, 4).toString()).toBe('PNG');
    expect(fileOf(outputs, 'temp').type).toBe('temp');
    expect(outputs.webp?.animated).toEqual([true]);
    expect(outputs.video?.gifs?.[0]).toMatchObject({ format: 'video/h264-mp4', frame_rate: 12 });
    expect(outputs.path?.result?.slice(1)).toEqual([null, null]);
    expect(outputs.text?.text).toEqual([expect.any(String)]);
  });

  test('of an equal job, which the server has cached, are fresh files of its own', async () => {
    const first = await runForOutputs(everyKind(2));
    const before = Object.keys((await fake.state()).computedNodes).length;
    const second = await runForOutputs(everyKind(2));
    const { computedNodes } = await fake.state();
    expect(Object.keys(computedNodes)).toHaveLength(before); // nothing was computed again
    for (const node of Object.keys(KEYS) as (keyof typeof KEYS)[]) {
      const [one, other] = [fileOf(first, node), fileOf(second, node)];
      expect([node, one.filename === other.filename]).toEqual([node, false]);
      expect([node, sha256(await view(one))]).toEqual([node, sha256(await view(other))]);
    }
  });

  test('text that only looks like a file stays text', async () => {
    const message = (id: string, value: string) => ({
      [id]: { class_type: 'CustomMessage', inputs: { value } },
    });
    const shown = { class_type: 'Preview3D', inputs: { model_file: '../no such model.glb' } };
    const outputs = await runForOutputs({ ...message('1', 'a robot.glb'), '2': shown });
    expect(outputs).toMatchObject({
      '1': { text: ['a robot.glb'] },
      '2': { result: ['../no such model.glb', null] },
    });
  });

  test('history there is deleted after the harvest', async () => {
    await run(saveImage());
    const { prompts } = await fake.state();
    const upstreamId = prompts.at(-1)!.promptId;
    await until(async () => (await fake.state()).historyDeletes.flat().includes(upstreamId));
    expect((await http(fake.url).get(`/history/${upstreamId}`)).text).toBe('{}');
  });

  test('a cached node whose file was deleted there is run again', async () => {
    const graph = saveImage('tidied');
    await run(graph);
    rmSync(join(fake.folder, 'output', 'tidied_00001_.png'));
    const item = await readHistory(api, await run(graph));
    const [image] = item!.outputs['2']!.images;
    expect((await view(image!)).subarray(1, 4).toString()).toBe('PNG');
    expect((await fake.state()).frees).toEqual([{ unload_models: false, free_memory: true }]);
  });
});

describe('what extensions send', () => {
  beforeAll(async () => {
    // Two workers, each with a socket of its own, hear what the one server sends to everybody.
    await startWorker(system.options);
  });

  test('messages and texts reach exactly the job’s client, once, in their order', async () => {
    const names = ['anna', 'ben', 'cleo', 'dora'];
    const sockets = await Promise.all(
      names.map((clientId) => connectSocket(system.url, { clientId })),
    );
    const prompt = (value: string, to: 'all' | 'client') => ({
      '1': { class_type: 'RunMs', inputs: { ms: 20, seed: 0 } },
      '2': { class_type: 'PreviewImage', inputs: { images: ['1', 0] } },
      '3': { class_type: 'CustomMessage', inputs: { value, type: 'my.extension', to } },
    });
    const valuesOf = (name: string) => Array.from({ length: 6 }, (_, n) => `${name} ${n}`);
    await Promise.all(
      names.flatMap((name) =>
        valuesOf(name).map((value, n) =>
          run(prompt(value, n % 2 === 0 ? 'all' : 'client'), { client_id: name }),
        ),
      ),
    );
    for (const [index, socket] of sockets.entries()) {
      const name = names[index]!;
      await until(
        () =>
          socket
            .textFrames('executing')
            .filter(({ data }) => (data as { node: unknown }).node === null).length === 6,
      );
      const messages = socket.textFrames('my.extension').map(({ data }) => data as object);
      const told = messages.map((data) => (data as { value: string }).value);
      expect([...told].sort()).toEqual(valuesOf(name));
      const texts = socket.frames.flatMap((frame) =>
        frame.kind === 'progress_text' ? [[frame.nodeId, frame.text]] : [],
      );
      expect(texts).toEqual(told.map((value) => ['3', value]));
    }
  });

  test('the prompt id in a message is the caller’s', async () => {
    const socket = await connectSocket(system.url, { clientId: 'ids' });
    const prompt = { '3': { class_type: 'CustomMessage', inputs: { value: 'id', to: 'client' } } };
    const id = await run(prompt, { client_id: 'ids' });
    const { data } = await socket.waitForText('my.extension');
    expect(data).toEqual({ value: 'id', node: '3', prompt_id: id });
  });
});
