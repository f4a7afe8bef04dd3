import { randomInt } from 'node:crypto';
import type { JsonValue } from '@tiercel/contracts';
import { json, type Answer } from '../fake-comfyui/answer.ts';
import {
  fastApiError,
  isOfKind,
  missingField,
  tooLong,
  wrongType,
  type FieldFault,
} from './fastapi.ts';
import type { Refusal } from './faults.ts';
import { startFakeService, type FakeService, type FakeServiceOptions } from './service.ts';
import { fieldsOf, textOf, type FakeVendor, type WireRequest, type Work } from './wire.ts';

type Words = readonly [status: number, detail: string | readonly FieldFault[]];

const REFUSALS: Readonly<Record<Exclude<Refusal, 'safety'>, Words>> = {
  unauthorized: [401, 'Unauthorized'],
  forbidden: [403, 'Forbidden'],
  model_gone: [404, 'Not Found'],
  unknown_model: [422, [{ loc: ['body', 'model'], msg: 'no such model', type: 'value_error' }]],
  invalid_request: [400, 'Invalid request'],
  invalid_prompt: [422, [tooLong('prompts', 1000)]],
  quota: [402, 'Payment Required'],
  rate: [429, 'Too Many Requests'],
  queue_full: [429, 'Queue is full'],
  capacity: [503, 'Server is busy'],
  out_of_memory: [500, 'CUDA out of memory. Tried to allocate 2.00 GiB'],
  error: [500, 'Internal Server Error'],
};

const DEFAULT_SIDE = 512;
const MAX_SEED = 2 ** 32;

/** A turbo server: `POST /generate`, one picture for each prompt of the list. */
export function startFakeTurbo(options: FakeServiceOptions = {}): Promise<FakeService> {
  const vendor: FakeVendor = {
    name: 'turbo',
    isPictureRequest: ({ method, path }) => method === 'POST' && path === '/generate',
    refuse: (refusal) =>
      // It has no refusal: it paints, and marks what it painted.
      refusal === 'safety' ? undefined : fastApiError(...REFUSALS[refusal]),
    answer,
  };
  return startFakeService(vendor, options);
}

async function answer(request: WireRequest, work: Work): Promise<Answer> {
  if (request.path !== '/generate') return fastApiError(404, 'Not Found');
  if (request.method !== 'POST') return fastApiError(405, 'Method Not Allowed');
  const fields = fieldsOf(request.body);
  const { prompts, width = DEFAULT_SIDE, height = DEFAULT_SIDE, seed } = fields;
  const faults = findFaults(fields);
  if (faults.length > 0) return fastApiError(422, faults);
  await work.render();
  const list = Array.isArray(prompts) ? prompts.slice(0, work.count(prompts.length)) : [];
  const first = typeof seed === 'number' || typeof seed === 'bigint' ? seed : randomInt(MAX_SEED);
  const size = { width: Number(width), height: Number(height) };
  const results = list.map((prompt: JsonValue) => {
    const text = `${textOf(prompt)}\0${textOf(fields.negative_prompt)}`;
    const png = work.paint({ prompt: text, seed: first, ...size, format: 'png' });
    const marks = { has_nsfw_concept: work.fault === 'safety', concept: [] };
    return { image: png.toString('base64'), ...marks, ...size, seed: first };
  });
  return json(results);
}

function findFaults(fields: Readonly<Record<string, JsonValue | undefined>>): FieldFault[] {
  const { prompts } = fields;
  const faults: FieldFault[] = [];
  if (prompts === undefined) faults.push(missingField('prompts'));
  else if (!Array.isArray(prompts) || !prompts.every((prompt) => typeof prompt === 'string')) {
    faults.push(wrongType('prompts', 'list'));
  }
  for (const name of ['width', 'height', 'steps', 'seed']) {
    const value = fields[name];
    const isFine = value === undefined || value === null || isOfKind('integer', value);
    if (!isFine) faults.push(wrongType(name, 'integer'));
  }
  return faults;
}
