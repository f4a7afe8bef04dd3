import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { stopEverything } from '../cleanup.ts';
import { http, type RawResponse } from '../raw-http.ts';
import { inspectPicture } from './inspect-picture.ts';
import { startFakeOpenAi } from './openai.ts';
import { paintPicture } from './pictures.ts';
import type { FakeService } from './service.ts';

let service: FakeService;
beforeAll(async () => {
  service = await startFakeOpenAi({ apiKey: 'key' });
});
afterAll(stopEverything);

const AUTH = { authorization: 'Bearer key' };
const SOURCE = paintPicture({ prompt: 'in', seed: 0, width: 64, height: 64, format: 'png' });

function generate(body: object): Promise<RawResponse> {
  const given = { model: 'gpt-image-2', prompt: 'a cat', ...body };
  return http(service.url).post('/v1/images/generations', given, { headers: AUTH });
}

async function edit(
  fields: Readonly<Record<string, string>>,
  files: readonly (readonly [field: string, bytes: Buffer])[],
): Promise<{ status: number; body: unknown }> {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  for (const [name, bytes] of files) form.append(name, new Blob([new Uint8Array(bytes)]), 'a.png');
  const answer = await fetch(`${service.url}/v1/images/edits`, {
    ...{ method: 'POST', headers: AUTH, body: form },
  });
  return { status: answer.status, body: await answer.json() };
}

function readPictures(body: unknown): ReturnType<typeof inspectPicture>[] {
  const { data } = body as { data: { b64_json: string }[] }; // the vendor's shape
  return data.map(({ b64_json }) => inspectPicture(Buffer.from(b64_json, 'base64')));
}

describe('generations', () => {
  test('answer as documented, in base64, with usage', async () => {
    const response = await generate({ n: 2, size: '1536x1024', quality: 'low' });
    expect(response.json()).toEqual({
      created: expect.any(Number),
      ...{ background: 'opaque', output_format: 'png', quality: 'low', size: '1536x1024' },
      data: [{ b64_json: expect.any(String) }, { b64_json: expect.any(String) }],
      usage: {
        ...{ input_tokens: 2, input_tokens_details: { image_tokens: 0, text_tokens: 2 } },
        ...{ output_tokens: 2112, total_tokens: 2114 },
      },
    });
    const one = { format: 'png', width: 1536, height: 1024, isWhole: true };
    expect(readPictures(response.json())).toEqual([one, one]);
    expect(response.headers['x-request-id']).toMatch(/^req_/);
  });

  test('are JPEG when asked, and of free sizes since gpt-image-2', async () => {
    const response = await generate({ output_format: 'jpeg', size: '2160x3840' });
    const [picture] = readPictures(response.json());
    expect(picture).toEqual({ format: 'jpeg', width: 2160, height: 3840, isWhole: true });
  });

  test.each([
    [{ seed: 3 }, 'seed', 'unknown_parameter'],
    [{ steps: 4 }, 'steps', 'unknown_parameter'],
    [{ negative_prompt: 'dog' }, 'negative_prompt', 'unknown_parameter'],
    [{ response_format: 'b64_json' }, 'response_format', 'unknown_parameter'],
    [{ prompt: '' }, 'prompt', 'missing_required_parameter'],
    [{ prompt: 'a'.repeat(32_001) }, 'prompt', 'string_above_max_length'],
    [{ n: 0 }, 'n', 'integer_below_min_value'],
    [{ n: 11 }, 'n', 'integer_above_max_value'],
    [{ n: 1.5 }, 'n', 'invalid_type'],
    [{ size: '1000x1000' }, 'size', 'invalid_value'],
    [{ size: '4096x1024' }, 'size', 'invalid_value'],
    [{ size: '2048x512' }, 'size', 'invalid_value'],
    [{ size: '768x768', model: 'gpt-image-1.5' }, 'size', 'invalid_value'],
    [{ quality: 'hd' }, 'quality', 'invalid_value'],
    [{ background: 'transparent', output_format: 'jpeg' }, 'background', 'invalid_value'],
    [{ output_compression: 101 }, 'output_compression', 'integer_above_max_value'],
  ])('refuse what is not allowed (case %#)', async (body, param, code) => {
    const response = await generate(body);
    expect([response.status, response.json()]).toEqual([
      400,
      { error: { message: expect.any(String), type: 'invalid_request_error', param, code } },
    ]);
  });

  test.each(['dall-e-3', 'gpt-image-1'])('refuse the retired model %s', async (model) => {
    const response = await generate({ model });
    expect(response.json()).toMatchObject({ error: { code: 'model_not_found' } });
    expect(response.status).toBe(404);
  });

  test('refuse another key', async () => {
    const post = http(service.url).post('/v1/images/generations', { prompt: 'a' });
    expect((await post).json()).toMatchObject({ error: { code: 'invalid_api_key' } });
  });
});

describe('edits', () => {
  const fields = { model: 'gpt-image-2', prompt: 'a dog', n: '2', size: '512x512' };

  test('take one or more files in a form', async () => {
    const one = await edit(fields, [['image', SOURCE]]);
    expect(readPictures(one.body)).toMatchObject(Array(2).fill({ width: 512, height: 512 }));
    const two = await edit(fields, [...Array(2).fill(['image[]', SOURCE] as const)]);
    expect(two.status).toBe(200);
    expect(two.body).not.toEqual(one.body);
    expect(service.requests().at(-1)).toMatchObject({
      body: fields,
      files: Array(2).fill({ field: 'image[]', name: 'a.png', bytes: SOURCE }),
    });
  });

  test.each([
    ['no image', [], 'image'],
    ['something else', [['image', Buffer.from('x')]], 'image'],
    ['a mask without alpha', [['image', SOURCE], ['mask', SOURCE]], 'mask'], // prettier-ignore
    ['too many', Array(17).fill(['image[]', SOURCE]), 'image'],
  ] as const)('refuse %s', async (_, files, param) => {
    const { status, body } = await edit(fields, files as readonly (readonly [string, Buffer])[]);
    expect([status, body]).toMatchObject([400, { error: { param } }]);
  });
});
