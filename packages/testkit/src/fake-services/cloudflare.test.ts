import { afterAll, describe, expect, test } from '@jest/globals';
import { stopEverything } from '../cleanup.ts';
import { http, type RawResponse } from '../raw-http.ts';
import { startFakeCloudflare } from './cloudflare.ts';
import { inspectPicture } from './inspect-picture.ts';

afterAll(stopEverything);

const DREAMSHAPER = '@cf/lykon/dreamshaper-8-lcm';
const FLUX = '@cf/black-forest-labs/flux-1-schnell';

async function run(
  model: string,
  body: object,
  { token = 'token', account = 'me' } = {},
): Promise<RawResponse> {
  const { url } = await startFakeCloudflare({ apiKey: 'token', accountId: 'me' });
  const headers = token === '' ? {} : { authorization: `Bearer ${token}` };
  return http(url).post(`/client/v4/accounts/${account}/ai/run/${model}`, body, { headers });
}

function codeOf(response: RawResponse): [status: number, code: unknown] {
  const { errors, ...rest } = response.json() as { errors: { code: number }[] }; // the envelope
  expect(rest).toEqual({ success: false, result: {}, messages: [] });
  return [response.status, errors[0]?.code];
}

describe('a picture', () => {
  test.each([
    [DREAMSHAPER, 512],
    ['@cf/bytedance/stable-diffusion-xl-lightning', 1024],
  ])('of %s is raw PNG, %i pixels wide unless asked otherwise', async (model, side) => {
    const plain = await run(model, { prompt: 'a cat' });
    expect([plain.status, plain.headers['content-type']]).toEqual([200, 'image/png']);
    const square = { width: side, height: side };
    expect(inspectPicture(plain.bytes)).toEqual({ format: 'png', ...square, isWhole: true });
    const asked = {
      ...{ prompt: 'a cat', negative_prompt: 'dog', width: 768, height: 256, num_steps: 20 },
      ...{ guidance: 1.5, seed: 7, strength: 0.5, image_b64: 'AAAA' },
    };
    expect(inspectPicture((await run(model, asked)).bytes)).toMatchObject({
      width: 768,
      height: 256,
    });
  });

  test('of Flux schnell is base64 JPEG in JSON', async () => {
    const response = await run(FLUX, { prompt: 'a cat', steps: 8, seed: 1 });
    const body = response.json() as { result: { image: string } }; // the vendor's shape
    expect(body).toEqual({
      ...{ result: { image: expect.any(String) }, success: true, errors: [], messages: [] },
    });
    expect(inspectPicture(Buffer.from(body.result.image, 'base64'))).toEqual({
      ...{ format: 'jpeg', width: 1024, height: 1024, isWhole: true },
    });
  });

  test('of FLUX.2 is base64 in JSON, and only a form is answered', async () => {
    const { url } = await startFakeCloudflare();
    const path = '/client/v4/accounts/me/ai/run/@cf/black-forest-labs/flux-2-klein-4b';
    const post = async (fields: Readonly<Record<string, string | Blob>>): Promise<Response> => {
      const body = new FormData();
      for (const [name, value] of Object.entries(fields)) body.append(name, value);
      return fetch(url + path, { method: 'POST', body, headers: { authorization: 'Bearer k' } });
    };
    const { result } = (await (
      await post({ prompt: 'a cat', width: '512', seed: '7' })
    ).json()) as {
      result: { image: string };
    };
    expect(inspectPicture(Buffer.from(result.image, 'base64'))).toMatchObject({
      ...{ width: 512, height: 768, isWhole: true },
    });
    const plain = await run('@cf/black-forest-labs/flux-2-klein-4b', { prompt: 'a cat' });
    expect([plain.status, plain.text]).toEqual([400, expect.stringContaining("'multipart'")]);
    for (const [fields, word] of [
      [{ prompt: 'a', steps: '8' }, '/steps'],
      [{ prompt: 'a', width: '2048' }, '/width'],
      [{ prompt: 'a', input_image_0: new Blob(['text']) }, '/input_image_0'],
      [{ width: '512' }, 'prompt'],
    ] as const) {
      const answer = await post(fields);
      expect([answer.status, await answer.text()]).toEqual([400, expect.stringContaining(word)]);
    }
  });

  test('depends on prompt, seed and init image', async () => {
    const bodies = [{ prompt: 'a' }, { prompt: 'b' }, { prompt: 'a', seed: 1 }];
    const all = [...bodies, { prompt: 'a', image: [1, 2] }, { prompt: 'a', image_b64: 'AAAA' }];
    const made = await Promise.all(
      all.map(async (body) => (await run(DREAMSHAPER, body)).bytes.toString('hex')),
    );
    expect(new Set(made).size).toBe(all.length);
  });
});

describe('refused is', () => {
  test.each([
    [{}, 5006],
    [{ prompt: '' }, 5006],
    [{ prompt: 3 }, 5006],
    [{ prompt: 'a', num_steps: 21 }, 5006],
    [{ prompt: 'a', width: 255 }, 5006],
    [{ prompt: 'a', height: 2056 }, 5006],
    [{ prompt: 'a', width: 512.5 }, 5006],
    [{ prompt: 'a', seed: 1.5 }, 5006],
    [{ prompt: 'a', seed: '7' }, 5006],
    [{ prompt: 'a', strength: 2 }, 5006],
    [{ prompt: 'a', image: [256] }, 5006],
    [{ prompt: 'a', image_b64: 'not base64!' }, 5004],
    [[], 3003],
  ])('%j, by Dreamshaper', async (body, code) => {
    expect(codeOf(await run(DREAMSHAPER, body))).toEqual([400, code]);
  });

  test.each([{ prompt: 'a'.repeat(2049) }, { prompt: 'a', steps: 9 }])(
    'what Flux does not allow (case %#)',
    async (body) => {
      expect(codeOf(await run(FLUX, body))).toEqual([400, 5006]);
    },
  );

  test('an unknown model, token or account', async () => {
    expect(codeOf(await run('@cf/gone/model', { prompt: 'a' }))).toEqual([404, 3042]);
    for (const who of [{ token: '' }, { token: 'other' }, { account: 'other' }]) {
      expect(codeOf(await run(DREAMSHAPER, { prompt: 'a' }, who))).toEqual([401, 10000]);
    }
  });
});
