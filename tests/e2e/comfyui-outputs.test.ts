import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { http, stopEverything, until, type FakeComfyUi, type RawHttp } from '@tiercel/testkit';
import {
  run,
  runForOutputs,
  sha256,
  view,
  type Outputs,
  type StoredFile,
} from './comfyui-files.ts';
import { startComfyUiSystem } from './comfyui-system.ts';
import { readHistory, saveImage } from './prompts.ts';

/** What comes home from a ComfyUI server (issue 3). */

let fake: FakeComfyUi;
let api: RawHttp;

beforeAll(async () => {
  ({ first: fake, api } = await startComfyUiSystem());
});
afterAll(stopEverything);

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
    const outputs = await runForOutputs(api, everyKind());
    const theirs = { image: 'sub/picture', webp: 'moving', video: 'film', audio: 'audio/sound' };
    const rest = { latent: 'latents/l', glb: 'mesh/model', path: 'mesh/shown' };
    const extensions = { image: 'png', webp: 'webp', video: 'mp4', audio: 'flac' };
    const more = { latent: 'latent', glb: 'glb', path: 'glb' };
    for (const [node, prefix] of Object.entries({ ...theirs, ...rest })) {
      const extension = { ...extensions, ...more }[node as 'image'];
      const upstream = join(fake.folder, 'output', `${prefix}_00001_.${extension}`);
      const bytes = await view(api, fileOf(outputs, node as 'image'));
      expect([node, sha256(bytes)]).toEqual([node, sha256(readFileSync(upstream))]);
    }
    expect((await view(api, fileOf(outputs, 'temp'))).subarray(1, 4).toString()).toBe('PNG');
    expect(fileOf(outputs, 'temp').type).toBe('temp');
    expect(outputs.webp?.animated).toEqual([true]);
    expect(outputs.video?.gifs?.[0]).toMatchObject({ format: 'video/h264-mp4', frame_rate: 12 });
    expect(outputs.path?.result?.slice(1)).toEqual([null, null]);
    expect(outputs.text?.text).toEqual([expect.any(String)]);
  });

  test('of an equal job, which the server has cached, are fresh files of its own', async () => {
    const first = await runForOutputs(api, everyKind(2));
    const before = Object.keys((await fake.state()).computedNodes).length;
    const second = await runForOutputs(api, everyKind(2));
    const { computedNodes } = await fake.state();
    expect(Object.keys(computedNodes)).toHaveLength(before); // nothing was computed again
    for (const node of Object.keys(KEYS) as (keyof typeof KEYS)[]) {
      const [one, other] = [fileOf(first, node), fileOf(second, node)];
      expect([node, one.filename === other.filename]).toEqual([node, false]);
      expect([node, sha256(await view(api, one))]).toEqual([node, sha256(await view(api, other))]);
    }
  });

  test.each([
    ['v/film_00007.mp4', ['v/film_00001.mp4', 'v/film_00002.mp4']],
    ['v/talk_00003-audio.mp4', ['v/talk_00001-audio.mp4', 'v/talk_00002-audio.mp4']],
    ['a/song_00012_.opus', ['a/song_00001_.opus', 'a/song_00002_.opus']],
    ['many_123456_.png', ['many_00001_.png', 'many_00002_.png']],
    [
      'seed_18446744073709551615.png',
      ['seed_18446744073709551615.png', 'seed_18446744073709551615_00001_.png'],
    ],
    ['was_0004.png', ['was_0004.png', 'was_0004_00001_.png']],
    ['model.safetensors', ['model.safetensors', 'model_00001_.safetensors']],
    [
      '%date:yyyy%/%year%_00001_.txt',
      ['%date:yyyy%/%year%_00001_.txt', '%date:yyyy%/%year%_00002_.txt'],
    ],
  ])(
    'that the server calls %s keep that pattern under a number of ours',
    async (name, expected) => {
      for (const [n, stored] of expected.entries()) {
        const content = `${name} ${n}`;
        const outputs = await runForOutputs(api, {
          save: { class_type: 'SaveAs', inputs: { filename: name, content } },
        });
        const file = outputs.save?.files?.[0] as StoredFile;
        expect([file.subfolder, file.filename].filter((part) => part !== '').join('/')).toBe(
          stored,
        );
        expect((await view(api, file)).toString()).toBe(content);
      }
    },
  );

  test('text that only looks like a file stays text', async () => {
    const message = (id: string, value: string) => ({
      [id]: { class_type: 'CustomMessage', inputs: { value } },
    });
    const shown = { class_type: 'Preview3D', inputs: { model_file: '../no such model.glb' } };
    const outputs = await runForOutputs(api, { ...message('1', 'a robot.glb'), '2': shown });
    expect(outputs).toMatchObject({
      '1': { text: ['a robot.glb'] },
      '2': { result: ['../no such model.glb', null] },
    });
  });

  test('history there is deleted after its outputs were downloaded', async () => {
    await run(api, saveImage());
    const { prompts } = await fake.state();
    const upstreamId = prompts.at(-1)!.promptId;
    await until(async () => (await fake.state()).historyDeletes.flat().includes(upstreamId));
    expect((await http(fake.url).get(`/history/${upstreamId}`)).text).toBe('{}');
  });

  test('a cached node whose file was deleted there is run again', async () => {
    const graph = saveImage('tidied');
    await run(api, graph);
    rmSync(join(fake.folder, 'output', 'tidied_00001_.png'));
    const item = await readHistory(api, await run(api, graph));
    const [image] = item!.outputs['2']!.images;
    expect((await view(api, image!)).subarray(1, 4).toString()).toBe('PNG');
    expect((await fake.state()).frees).toEqual([{ unload_models: false, free_memory: true }]);
  });
});
