import { createHash, randomBytes } from 'node:crypto';
import { expect } from '@jest/globals';
import type { FakeComfyUi, RawHttp, TestSystem } from '@tiercel/testkit';
import { lastMessage, post, readHistory, waitForEnd } from './prompts.ts';

/** Files that go to a ComfyUI server for a job, and that come home from it. */

export interface StoredFile {
  readonly filename: string;
  readonly subfolder: string;
  readonly type: string;
}
/** What nodes showed, under any key. */
export type Outputs = Record<string, Record<string, unknown[]>>;

export const sha256 = (bytes: Uint8Array): string =>
  createHash('sha256').update(bytes).digest('hex');

/** Bytes that no other test has sent, in a file of that kind. */
export function makeFile(kind: 'png' | 'flac' | 'mp4' | 'glb'): Buffer {
  if (kind !== 'png') return Buffer.concat([Buffer.from(kind), randomBytes(200)]);
  // A whole 1x1 PNG; what follows its end is no picture any more and makes it unique.
  const pixel =
    'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
  return Buffer.concat([Buffer.from(pixel, 'base64'), randomBytes(16)]);
}

/** @returns the name to put into a prompt, without annotation */
export async function upload(
  system: TestSystem,
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

/** Runs a prompt to its success. @returns the id of the job */
export async function run(
  api: RawHttp,
  prompt: object,
  more: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const id = await post(api, prompt, more);
  const item = await waitForEnd(api, id);
  expect(lastMessage(item)[0]).toBe('execution_success');
  return id;
}

export async function runForOutputs(api: RawHttp, prompt: object): Promise<Outputs> {
  const item = await readHistory(api, await run(api, prompt));
  return item?.outputs ?? {};
}

/** The inputs of the nodes of the newest prompt that the server was sent. */
export async function lastSentInputs(
  fake: FakeComfyUi,
): Promise<Record<string, Record<string, unknown>>> {
  const { prompts } = await fake.state();
  const { prompt } = prompts.at(-1)?.body as { prompt: Record<string, { inputs: object }> };
  return Object.fromEntries(
    Object.entries(prompt).map(([id, { inputs }]) => [id, inputs as Record<string, unknown>]),
  );
}

export async function view(
  api: RawHttp,
  { filename, subfolder, type }: StoredFile,
): Promise<Buffer> {
  const query = new URLSearchParams({ filename, subfolder, type }).toString();
  const answer = await api.get(`/view?${query}`);
  expect([filename, answer.status]).toEqual([filename, 200]);
  return answer.bytes;
}
