import { createHash } from 'node:crypto';

declare const brand: unique symbol;
type Brand<T, B extends string> = T & { readonly [brand]: B };

/** A prompt_id: any non-empty string a client chose, or a uuid of ours. */
export type PromptId = Brand<string, 'PromptId'>;
/** A prompt_id and whose it is, in one text: what Redis knows a job by (see `scoped`). */
export type JobId = Brand<string, 'JobId'>;
/** The BullMQ job id of a permit (see packages/queue). */
export type PermitId = Brand<string, 'PermitId'>;
/** One worker's right to run a job now: stands for permit, job and attempt; unique. */
export type ClaimId = Brand<string, 'ClaimId'>;
/** One worker process. */
export type WorkerId = Brand<string, 'WorkerId'>;

/**
 * Half of a surrogate pair becomes U+FFFD: it cannot be written in UTF-8, so Redis, a URL and a JSON answer would each
 * make something else of it, and the job would not be found by the id that its caller was told.
 */
export const promptId = (text: string): PromptId => text.toWellFormed() as PromptId;
export const permitId = (text: string): PermitId => text as PermitId;
export const claimId = (text: string): ClaimId => text as ClaimId;
export const workerId = (text: string): WorkerId => text as WorkerId;

/** Longest text of a caller's, in characters, that becomes part of a key name as it is. */
const MAX_KEY_TEXT = 200;

/**
 * A caller's text (a client_id, a workflow's id) as part of key and channel names: as it is up to 200
 * characters, else its hash, so that ids of any length work. Applying it twice changes nothing. Who calls
 * himself what a longer id is hashed to knows that id already.
 */
export function keyText(text: string): string {
  if (text.length <= MAX_KEY_TEXT) return text;
  return `sha256:${createHash('sha256').update(text, 'utf8').digest('hex')}`;
}
