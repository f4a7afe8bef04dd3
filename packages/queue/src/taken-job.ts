import {
  decodeClient,
  permitId,
  promptIdOf,
  type ClaimId,
  type JobId,
  type PermitId,
  type PromptId,
} from '@tiercel/contracts';

/**
 * A job that a worker has taken, and the worker's right to run it: its claim, made of the permit, the job and
 * the attempt. `claimId` stands for the three; a later attempt has another one, and voids it.
 */
export interface TakenJob {
  readonly id: JobId;
  /** What its caller knows it by. */
  readonly promptId: PromptId;
  readonly permit: PermitId;
  readonly claimId: ClaimId;
  /** 1 for the first run. */
  readonly attempt: number;
  /** By Redis' clock, in epoch ms. */
  readonly takenAtMs: number;
  readonly number: number;
  readonly tenant: string;
  readonly clientId: string | undefined;
  readonly promptText: string;
  readonly extraText: string;
  readonly outputIds: readonly string[];
  /** By Redis' clock, in epoch ms. */
  readonly createdAt: number;
  /** True when it was interrupted under an earlier worker that died before it could stop. */
  readonly cancelled: boolean;
  readonly sealedSecrets: string | undefined;
  /** What an earlier attempt noted with `remember`. */
  readonly resumeToken: string | undefined;
  /** An earlier run of it began: its worker died, or handed it back. */
  readonly hasRunBefore: boolean;
}

/** Reads what take_next, take_again and taken_by of `lua/includes/take-job.lua` answer. */
export function parseTaken(
  reply: unknown,
  { permit, claimId }: { readonly permit: string; readonly claimId: ClaimId },
): TakenJob | undefined {
  if (!Array.isArray(reply)) return undefined;
  const texts = reply as (string | null)[];
  const [id, prompt, extra, targets, client, number, tenant, created, attempt, ...rest] = texts;
  const [cancel, secrets, resumeToken, taken, , , , , , handedBack] = rest;
  const jobId = (id ?? '') as JobId; // as enqueue wrote it
  return {
    id: jobId,
    promptId: promptIdOf(jobId),
    permit: permitId(permit),
    claimId,
    attempt: Number(attempt),
    takenAtMs: Number(taken),
    number: Number(number),
    tenant: tenant ?? '',
    clientId: decodeClient(client ?? 'n'),
    promptText: prompt ?? '{}',
    extraText: extra ?? '{}',
    outputIds: JSON.parse(targets ?? '[]') as string[],
    createdAt: Number(created),
    cancelled: cancel === '1',
    sealedSecrets: secrets === null || secrets === '' ? undefined : secrets,
    resumeToken: resumeToken ?? undefined,
    hasRunBefore: Number(attempt) > 1 || handedBack === '1',
  };
}
