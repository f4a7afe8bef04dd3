import { describe, expect, test } from '@jest/globals';
import { movieWithComment, movieWithTexts, pngWithTexts, webpWithTexts } from '@tiercel/testkit';
import { isFile, readPostedText } from './read-posted.ts';

const PROMPT = '{"1":{"class_type":"A","inputs":{}}}';
const WORKFLOW = '{"nodes":[],"links":[]}';

const read = (bytes: Uint8Array, contentType?: string): unknown =>
  JSON.parse(readPostedText({ bytes, contentType }, 1_000));

async function formOf(parts: Readonly<Record<string, string | Uint8Array<ArrayBuffer>>>) {
  const form = new FormData();
  for (const [name, value] of Object.entries(parts)) {
    if (typeof value === 'string') form.set(name, value);
    else form.set(name, new Blob([value]), `${name}.bin`);
  }
  const request = new Request('http://localhost', { method: 'POST', body: form });
  const contentType = request.headers.get('content-type') ?? '';
  return { bytes: new Uint8Array(await request.arrayBuffer()), contentType };
}

describe('a file in place of JSON', () => {
  test('has run its prompt: that is posted, with the workflow for the pictures', () => {
    const file = pngWithTexts({ workflow: WORKFLOW, prompt: PROMPT });
    expect(read(file)).toEqual({
      prompt: JSON.parse(PROMPT),
      extra_data: { extra_pnginfo: { workflow: JSON.parse(WORKFLOW) } },
    });
  });

  test('with a workflow alone posts that, and so does one whose prompt is none', () => {
    const alone = { prompt: JSON.parse(WORKFLOW) };
    expect(read(movieWithTexts({ workflow: WORKFLOW }))).toEqual(alone);
    expect(read(webpWithTexts({ workflow: WORKFLOW, prompt: '{"1": NaN}' }))).toEqual(alone);
  });

  test('may hold them in a comment, as JSON or as text', () => {
    const comment = JSON.stringify({ prompt: PROMPT, workflow: JSON.parse(WORKFLOW) });
    expect(read(movieWithComment(comment))).toMatchObject({ prompt: JSON.parse(PROMPT) });
  });

  test('with neither is refused by name', () => {
    expect(() => read(pngWithTexts({ Software: 'x' }))).toThrow(
      /PNG file has neither a prompt nor/,
    );
    expect(() => read(movieWithTexts({}))).toThrow(/MP4 file has neither/);
  });

  test('of more JSON than a body may have is refused', () => {
    const many = `{"1":{"class_type":"A","inputs":{"list":[${'0,'.repeat(2_000)}0]}}}`;
    expect(() => read(pngWithTexts({ prompt: many }))).toThrow(/more than 1000 JSON values/);
  });
});

describe('a form', () => {
  test('has a file, and what else a body says', async () => {
    const file = new Uint8Array(pngWithTexts({ prompt: PROMPT, workflow: WORKFLOW }));
    const { bytes, contentType } = await formOf({
      ...{ client_id: 'me', number: '3', extra_data: '{"priority":"high"}' },
      image: file,
      unknown: 'x',
    });
    expect(read(bytes, contentType)).toEqual({
      ...{ client_id: 'me', number: 3, prompt: JSON.parse(PROMPT) },
      extra_data: { priority: 'high', extra_pnginfo: { workflow: JSON.parse(WORKFLOW) } },
    });
  });

  test('may have JSON as a file, or as a field', async () => {
    for (const parts of [
      { file: new TextEncoder().encode(WORKFLOW) },
      { workflow: WORKFLOW },
      { prompt: WORKFLOW },
    ]) {
      const { bytes, contentType } = await formOf(parts);
      expect(read(bytes, contentType)).toEqual({ prompt: JSON.parse(WORKFLOW) });
    }
  });

  test('that has nothing to run, or is not whole, is refused', async () => {
    const empty = await formOf({ client_id: 'me' });
    expect(() => read(empty.bytes, empty.contentType)).toThrow(/no file, and no field/);
    const text = await formOf({ file: new TextEncoder().encode('hello') });
    expect(() => read(text.bytes, text.contentType)).toThrow(/part file of the form is not JSON/);
    const whole = await formOf({ workflow: WORKFLOW });
    const cut = whole.bytes.subarray(0, whole.bytes.length - 10);
    expect(() => read(cut, whole.contentType)).toThrow(/not a whole multipart form/);
    expect(() => read(whole.bytes, 'multipart/form-data; boundary=other')).toThrow(/not a whole/);
  });

  test('is one by its parts: clients send JSON under its content type too', () => {
    const bytes = Buffer.from(`{"prompt":${PROMPT}}`);
    const contentType = 'multipart/form-data; boundary=x';
    expect(isFile({ bytes, contentType })).toBe(false);
    expect(read(bytes, contentType)).toEqual({ prompt: JSON.parse(PROMPT) });
  });
});
