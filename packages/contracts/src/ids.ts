declare const brand: unique symbol;
type Brand<T, B extends string> = T & { readonly [brand]: B };

/** A prompt_id: any non-empty string a client chose, or a uuid of ours. */
export type PromptId = Brand<string, 'PromptId'>;
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
