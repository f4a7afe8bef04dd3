import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readPngText } from '@tiercel/pictures';
import {
  stopEverything,
  until,
  type FakeComfyUi,
  type RawHttp,
  type TestSystem,
} from '@tiercel/testkit';
import {
  lastSentInputs,
  makeFile,
  run,
  runForOutputs,
  sha256,
  upload,
  view,
  type StoredFile,
} from './comfyui-files.ts';
import { startComfyUiSystem } from './comfyui-system.ts';
import { lastMessage, post, saveImage, waitForEnd } from './prompts.ts';

/** What goes to a ComfyUI server for a job (issue 3). */

let fake: FakeComfyUi;
let system: TestSystem;
let api: RawHttp;

beforeAll(async () => {
  ({ first: fake, system, api } = await startComfyUiSystem());
});
afterAll(stopEverything);

const load = (image: string): Record<string, unknown> => ({
  '1': { class_type: 'LoadImage', inputs: { image } },
  '2': { class_type: 'PreviewImage', inputs: { images: ['1', 0] } },
});

async function uploadsOf(bytes: Uint8Array): Promise<number> {
  const { uploads } = await fake.state();
  return uploads.filter((sent) => sent.sha256 === sha256(bytes)).length;
}

describe('inputs', () => {
  test('the same content is sent once, whatever its name and whoever sends it', async () => {
    const bytes = makeFile('png');
    await run(api, load(await upload(system, bytes, 'mine.png')));
    await run(api, load(await upload(system, bytes, 'theirs.png')));
    const { uploads } = await fake.state();
    const names = uploads.filter((sent) => sent.sha256 === sha256(bytes)).map(({ name }) => name);
    expect(names).toEqual([`${sha256(bytes)}.png`]);
  });

  test('two users’ different files of one name do not collide', async () => {
    const [first, second] = [makeFile('png'), makeFile('png')];
    const name = await upload(system, first, 'photo.png', { subfolder: 'anna' });
    const other = await upload(system, second, 'photo.png', { subfolder: 'ben' });
    expect([name, other]).toEqual(['anna/photo.png', 'ben/photo.png']);
    await run(api, load(name));
    expect(JSON.stringify(await lastSentInputs(fake))).toContain(sha256(first));
    await run(api, load(other));
    expect(JSON.stringify(await lastSentInputs(fake))).toContain(sha256(second));
  });

  test('a file that was replaced under its name is the new one', async () => {
    const [before, after] = [makeFile('png'), makeFile('png')];
    await run(api, load(await upload(system, before, 'replaced.png')));
    await run(api, load(await upload(system, after, 'replaced.png', { overwrite: 'true' })));
    expect([await uploadsOf(before), await uploadsOf(after)]).toEqual([1, 1]);
  });

  test('masks, audio, video and 3D models are sent as pictures are', async () => {
    const [mask, audio, video, model, shot] = [
      ...[makeFile('png'), makeFile('flac'), makeFile('mp4'), makeFile('glb'), makeFile('png')],
    ] as const;
    const scene = await upload(system, shot, 'scene.png', { subfolder: 'threed', type: 'temp' });
    const inputs = {
      mask: { image: await upload(system, mask, 'mask.png'), channel: 'alpha' },
      audio: { audio: await upload(system, audio, 'sound.flac') },
      video: { file: await upload(system, video, 'film.mp4') },
      model: {
        model_file: await upload(system, model, 'mesh.glb', { subfolder: '3d' }),
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
    await run(api, { ...nodes, ...(Object.fromEntries(shown) as object) });
    const sent = await lastSentInputs(fake);
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
    await upload(system, temporary, 'twin.png', { type: 'temp' });
    await upload(system, plain, 'twin.png');
    await run(api, load('twin.png [temp]'));
    expect((await lastSentInputs(fake))['1']?.image).toBe(`tiercel/${sha256(temporary)}.png`);
    await run(api, load('twin.png [input]'));
    expect((await lastSentInputs(fake))['1']?.image).toBe(`tiercel/${sha256(plain)}.png`);
  });

  test('an output of an earlier job can be the input of the next', async () => {
    const [saved] = (await runForOutputs(api, saveImage('chain')))['2']?.images as [StoredFile];
    await run(api, load(`${saved.filename} [output]`));
    const digest = sha256(await view(api, saved));
    expect((await lastSentInputs(fake))['1']?.image).toBe(`tiercel/${digest}.png`);
  });

  test('a file deleted between accept and run ends in an error that names the node', async () => {
    await fake.pauseExecution();
    try {
      const waiting = [await post(api, saveImage()), await post(api, saveImage())];
      await until(async () => {
        const { prompts } = await fake.state();
        return prompts.length >= 2 && Object.keys((await fake.state()).runs).length > 0;
      });
      const name = await upload(system, makeFile('png'), 'short-lived.png');
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

  test('pictures that a server writes tell the names that the caller wrote, not those it was sent', async () => {
    const [bytes, more] = [makeFile('png'), makeFile('png')];
    const names = [
      await upload(system, bytes, 'mine.png', { subfolder: 'anna' }),
      `${await upload(system, bytes, 'twin.png')} [input]`,
      await upload(system, more, 'größer.png'),
    ];
    const nodes = names.flatMap((name, at) => [
      `"load ${at}": {"class_type": "LoadImage", "inputs": {"image": "${name}"}}`,
      `"save ${at}": {"class_type": "SaveImage", "inputs": ` +
        `{"images": ["load ${at}", 0], "filename_prefix": "named"}}`,
    ]);
    const prompt =
      '{"seeded": {"class_type": "RunMs", "inputs": {"ms": 0, "seed": 18446744073709551615}}, ' +
      '"show": {"class_type": "PreviewImage", "inputs": {"images": ["seeded", 0]}}, ' +
      `${nodes.join(', ')}}`;
    const workflow = '{"nodes": ["tiercel"]}';
    const answer = await api.post(
      '/prompt',
      `{"prompt":${prompt},"extra_data":{"extra_pnginfo":{"workflow":${workflow}}}}`,
    );
    expect(answer.status).toBe(200);
    const { outputs } = await waitForEnd(api, (answer.json() as { prompt_id: string }).prompt_id);
    expect((await lastSentInputs(fake))['load 0']?.image).toBe(`tiercel/${sha256(bytes)}.png`);

    // As Python writes it: what is not ASCII is escaped.
    const written = prompt.replace('größer', 'gr\\u00f6\\u00dfer');
    for (const key of ['show', 'save 0', 'save 1', 'save 2']) {
      const [file] = outputs[key]?.images ?? [];
      const picture = await view(api, file as StoredFile);
      const texts = readPngText(picture);
      expect(texts.get('workflow')).toBe(workflow);
      expect(texts.get('prompt')).toBe(written);
      expect(picture.includes(sha256(bytes))).toBe(false);
    }
  });

  test('a picture of an earlier job, which its server still has, tells the name of this job', async () => {
    const bytes = makeFile('png');
    for (const name of ['theirs.png', 'ours.png']) {
      const prompt = load(await upload(system, bytes, name));
      const { outputs, status } = await waitForEnd(api, await post(api, prompt));
      const cached = status.messages.find(([type]) => type === 'execution_cached')?.[1].nodes;
      expect(cached).toEqual(name === 'ours.png' ? ['1', '2'] : []);
      const [file] = outputs['2']?.images ?? [];
      const texts = readPngText(await view(api, file as StoredFile));
      expect(JSON.parse(texts.get('prompt') ?? '')).toEqual(prompt);
    }
  });

  test('64-bit seeds reach the server digit for digit, also beside an input file', async () => {
    const seed = 18446744073709551615n;
    const name = await upload(system, makeFile('png'), 'seeded.png');
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
      expect((await lastSentInputs(fake))['8']?.seed).toBe(seed);
    }
  });
});
