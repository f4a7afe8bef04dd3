import { randomUUID } from 'node:crypto';
import { ComfyRequestError } from './comfy-request.ts';
import type { PromptSubmission } from './comfy-wire.ts';

/** A prompt of a node that runs for so long. */
export function runMs(ms = 0, id: string = randomUUID()): PromptSubmission {
  const promptText = `{"1":{"class_type":"RunMs","inputs":{"ms":${ms}}},"2":{"class_type":"PreviewImage","inputs":{"images":["1",0]}}}`;
  return { promptText, promptId: id, clientId: 'worker-1' };
}

/** The error of a call that fails as calls of the client do. */
export async function failureOf(call: Promise<unknown>): Promise<ComfyRequestError> {
  const error: unknown = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof ComfyRequestError) return error;
  throw new Error('not the failure of a request', { cause: error });
}
