import { afterAll, describe, expect, test } from '@jest/globals';
import type { JsonObject } from '@tiercel/contracts';
import { stopEverything } from '../cleanup.ts';
import { http, type RawResponse } from '../raw-http.ts';
import { until } from '../until.ts';
import { startFakeAutomatic1111 } from './automatic1111.ts';
import { inspectPicture } from './inspect-picture.ts';
import { paintPicture } from './pictures.ts';
import { textOf } from './wire.ts';

afterAll(stopEverything);

const LONG_MS = 60_000;

async function readProgress(url: string, query = ''): Promise<JsonObject> {
  return (await http(url).get(`/sdapi/v1/progress${query}`)).json() as JsonObject; // its shape
}

function txt2img(url: string, body: object): Promise<RawResponse> {
  return http(url).post('/sdapi/v1/txt2img', body);
}

function read(response: RawResponse): {
  images: string[];
  parameters: JsonObject;
  info: JsonObject;
} {
  const body = response.json() as { images: string[]; parameters: JsonObject; info: string };
  return { ...body, info: JSON.parse(body.info) as JsonObject }; // JSON in a string
}

describe('txt2img', () => {
  test('answers pictures in whole blocks of 8 pixels, the parameters, and info in a string', async () => {
    const { url } = await startFakeAutomatic1111();
    const asked = { prompt: 'a cat', negative_prompt: 'dog', seed: 5, width: 517, height: 256 };
    const answer = read(await txt2img(url, { ...asked, batch_size: 2, n_iter: 2, steps: 3 }));
    const picture = { format: 'png', width: 512, height: 256, isWhole: true };
    expect(answer.images.map((image) => inspectPicture(Buffer.from(image, 'base64')))).toEqual(
      Array(4).fill(picture),
    );
    expect(new Set(answer.images).size).toBe(4);
    expect(answer.parameters).toMatchObject({ ...asked, cfg_scale: 7, sampler_index: 'Euler' });
    expect(answer.info).toMatchObject({
      ...{ prompt: 'a cat', negative_prompt: 'dog', seed: 5, all_seeds: [5, 6, 7, 8], steps: 3 },
      ...{ width: 512, height: 256, sampler_name: 'Euler', index_of_first_image: 0 },
      ...{ sd_model_name: 'v1-5-pruned-emaonly', sd_model_hash: '6ce0161689' },
    });
    expect((answer.info.infotexts as string[])[3]).toContain('Seed: 8, Size: 512x256');
  });

  test('draws a seed for -1, loads the override, and leaves pictures out when told', async () => {
    const { url } = await startFakeAutomatic1111({ checkpoints: ['a.ckpt [11]', 'b.ckpt [22]'] });
    const override_settings = { sd_model_checkpoint: 'b' };
    const answer = read(await txt2img(url, { override_settings, send_images: false, seed: -1 }));
    expect(answer.images).toEqual([]);
    expect(answer.info).toMatchObject({ sd_model_name: 'b', sd_model_hash: '22' });
    expect(answer.info.seed).toBeGreaterThanOrEqual(0);
  });

  test.each([
    [{ steps: 'many' }, 422],
    [{ prompt: 3 }, 422],
    [{ sampler_name: 'Nobody' }, 400],
  ])('refuses %j', async (body, status) => {
    const { url } = await startFakeAutomatic1111();
    const response = await txt2img(url, body);
    expect([response.status, response.json()]).toEqual([status, { detail: expect.anything() }]);
  });
});

describe('img2img', () => {
  test('needs a picture, and makes another one of it', async () => {
    const { url } = await startFakeAutomatic1111();
    const post = (body: object): Promise<RawResponse> => http(url).post('/sdapi/v1/img2img', body);
    expect((await post({})).json()).toEqual({ detail: 'Init image not found' });
    const broken = await post({ init_images: ['bm8='] });
    expect([broken.status, broken.json()]).toEqual([500, { detail: 'Invalid encoded image' }]);
    const png = paintPicture({ prompt: '', seed: 0, width: 64, height: 64, format: 'png' });
    const init_images = [png.toString('base64')];
    const [made, plain] = [await post({ init_images, seed: 1 }), await txt2img(url, { seed: 1 })];
    expect(read(made).images).not.toEqual(read(plain).images);
    expect(read(made).parameters).toMatchObject({ init_images: null, denoising_strength: 0.75 });
    const dataUrl = await post({ init_images: [`data:image/png;base64,${init_images.join()}`] });
    expect(dataUrl.status).toBe(200);
  });
});

describe('a running job', () => {
  test('is seen in the global progress, and an interrupt ends it with what it has', async () => {
    const { url, setLatency } = await startFakeAutomatic1111();
    expect(await readProgress(url)).toMatchObject({
      ...{ progress: 0, eta_relative: 0, current_image: null, textinfo: null },
      state: { job_count: 0, sampling_step: 0, sampling_steps: 0, interrupted: false },
    });
    setLatency(LONG_MS);
    const job = txt2img(url, { steps: 1000, width: 64, height: 64 });
    const first = await until(async () => {
      const progress = await readProgress(url);
      return typeof progress.current_image === 'string' && progress;
    });
    expect(first.progress).toBeGreaterThan(0.01);
    expect(first.eta_relative).toBeGreaterThan(0);
    expect(inspectPicture(Buffer.from(textOf(first.current_image), 'base64')).isWhole).toBe(true);
    const later = await until(async () => {
      const progress = await readProgress(url, '?skip_current_image=true');
      return Number(progress.progress) > Number(first.progress) && progress;
    });
    expect(later).toMatchObject({ current_image: null, state: { sampling_steps: 1000 } });
    await http(url).post('/sdapi/v1/interrupt');
    expect((await job).status).toBe(200);
    expect(await readProgress(url)).toMatchObject({ progress: 0 });
  });

  test('makes the others wait, and goes on when its client has gone', async () => {
    const { url, setLatency, state } = await startFakeAutomatic1111({ latencyMs: LONG_MS });
    const gone = http(url).post('/sdapi/v1/txt2img', { steps: 50 }, { timeoutMs: 300 });
    await expect(gone).rejects.toThrow('timed out');
    await until(() => state().counts.aborted === 1);
    expect(await readProgress(url)).toMatchObject({ state: { job_count: 1, sampling_steps: 50 } });
    setLatency(0);
    const waiting = txt2img(url, { steps: 7 });
    await until(() => state().counts.running === 1);
    expect(await readProgress(url)).toMatchObject({ state: { sampling_steps: 50 } });
    await http(url).post('/sdapi/v1/interrupt');
    expect((await waiting).status).toBe(200);
  });
});

describe('the other routes', () => {
  test('tell checkpoints, samplers, options and memory', async () => {
    const { url } = await startFakeAutomatic1111({ checkpoints: ['a.ckpt [11]'] });
    const get = async (path: string): Promise<unknown> =>
      (await http(url).get(`/sdapi/v1/${path}`)).json();
    expect(await get('sd-models')).toEqual([
      {
        ...{ title: 'a.ckpt [11]', model_name: 'a', hash: '11', sha256: null, config: null },
        filename: 'a.ckpt',
      },
    ]);
    expect(await get('samplers')).toContainEqual({ name: 'Euler a', aliases: [], options: {} });
    await http(url).post('/sdapi/v1/options', { CLIP_stop_at_last_layers: 2 });
    expect(await get('options')).toMatchObject({
      ...{ sd_model_checkpoint: 'a.ckpt [11]', CLIP_stop_at_last_layers: 2 },
    });
    const memory = {
      free: expect.any(Number),
      used: expect.any(Number),
      total: expect.any(Number),
    };
    expect(await get('memory')).toMatchObject({ ram: memory, cuda: { system: memory } });
    expect(await get('nowhere')).toEqual({ detail: 'Not Found' });
  });

  test('ask for the password when there is one', async () => {
    const { url } = await startFakeAutomatic1111({ auth: 'me:secret' });
    const refused = await http(url).get('/sdapi/v1/options');
    expect([refused.status, refused.headers['www-authenticate']]).toEqual([401, 'Basic']);
    const authorization = `Basic ${Buffer.from('me:secret').toString('base64')}`;
    const headers = { authorization };
    expect((await http(url).get('/sdapi/v1/options', { headers })).status).toBe(200);
  });
});
