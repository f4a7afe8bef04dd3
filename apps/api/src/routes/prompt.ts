import { AppError, isAppError, type Caller, type PromptId } from '@tiercel/contracts';
import {
  createReplayKey,
  type Accepted,
  type NewJob,
  type Producer,
  type Reader,
} from '@tiercel/queue';
import { sealSecrets, type Logger } from '@tiercel/runtime';
import { acceptJobWebhook, type AddressGuard, type WebhookStore } from '@tiercel/webhooks';
import type { Request, Response } from 'express';
import type { FirstWorker } from '../first-worker.ts';
import { sendJson, sendJsonText } from '../http/answer.ts';
import { goneSignal, onClosed } from '../http/on-closed.ts';
import type { Admission } from '../identity/admission.ts';
import { callerOf } from '../identity/caller-of.ts';
import type { Route } from '../http/route.ts';
import type { BodyExaminer } from '../json/body-examiner.ts';
import { toPayload } from '../json/long-text.ts';
import { readBlocks } from '../json/read-blocks.ts';
import type { WorkersFor } from '../workers-for.ts';

/** ComfyUI (0.24) reads it into extra_data. */
const USAGE_SOURCE = 'comfy-usage-source';

export interface PromptDependencies {
  readonly producer: Producer;
  readonly reader: Reader;
  readonly examiner: BodyExaminer;
  /** Whose a caller's jobs are; undefined: nobody's in particular. */
  readonly tenantOf: (caller: Caller) => NewJob['tenant'];
  readonly admission: Admission;
  /** Told what became of each prompt: accepted, repeated, rejected, or a code of the error catalogue. */
  readonly countAdmission: (outcome: string) => void;
  readonly firstWorker: FirstWorker;
  readonly workersFor: WorkersFor;
  readonly secretKey: Uint8Array;
  readonly store: WebhookStore;
  readonly guard: AddressGuard;
  readonly maxBodyBytes: number;
  readonly log: Logger;
}

/** GET and POST /prompt. */
export function createPromptRoutes(deps: PromptDependencies): Route[] {
  return [
    {
      method: 'GET',
      path: '/prompt',
      async handle(_req, res) {
        const reader = deps.reader.of(callerOf(res).tenant);
        // Scripts ask this to learn whether they may post.
        await deps.firstWorker.require();
        const remaining = await reader.countRemaining();
        sendJson(res, { exec_info: { queue_remaining: remaining } });
      },
    },
    {
      method: 'POST',
      path: '/prompt',
      body: 'none',
      handle: async (req, res) => {
        try {
          deps.countAdmission(await postPrompt(req, res, deps));
        } catch (error) {
          deps.countAdmission(isAppError(error) ? error.code : 'internal');
          throw error;
        }
      },
    },
  ];
}

async function postPrompt(
  req: Request,
  res: Response,
  deps: PromptDependencies,
): Promise<'accepted' | 'repeated' | 'rejected'> {
  const { producer } = deps;
  const caller = callerOf(res);
  const { tenant } = caller;
  const body = await readBlocks(req, deps.maxBodyBytes);
  await deps.firstWorker.wait(() => goneSignal(res));
  const source = req.headers[USAGE_SOURCE];
  const plan = deps.workersFor.readPlan(caller);
  const examined = await deps.examiner.examinePrompt(body, {
    contentType: req.headers['content-type'],
    usageSource: typeof source === 'string' ? source : undefined,
    tenant,
    areWorkersAlike: plan === undefined,
  });
  const { identity } = examined;
  const replayKey = readReplayKey(req, caller);
  if (identity !== undefined && replayKey !== undefined) {
    const earlier = await producer.findReplay(replayKey, identity.bodyHash);
    if (earlier !== undefined) {
      answer(res, earlier.id, earlier);
      return 'repeated';
    }
  }
  if (identity?.isOwnId === true) {
    const earlier = await producer.findAccepted(identity.id, identity.bodyHash, tenant);
    if (earlier !== undefined) {
      answer(res, identity.id, earlier);
      return 'repeated';
    }
  }
  if (examined.kind === 'rejected') {
    if (!examined.isNumbered) await producer.skipNumber(tenant);
    sendJsonText(res, toPayload(examined.rejectionText), 400);
    return 'rejected';
  }
  const { id, bodyHash } = examined.identity;
  const { number, front, clientId, outputIds, nodeErrorsText, workflowId, secretsText } = examined;
  const { priority, asks } = examined;
  const admission = asks === undefined ? undefined : deps.admission.check(caller, asks.demand);
  const workers =
    plan === undefined || examined.needs === undefined
      ? undefined
      : await deps.workersFor.find(plan, examined.needs);
  const cost = asks?.cost ?? workers?.cost;
  const webhook =
    examined.webhook === undefined
      ? undefined
      : await acceptJobWebhook(examined.webhook, tenant, deps);
  const accepted = await producer.enqueue({
    ...{ id, bodyHash, number, front, clientId, outputIds, nodeErrorsText, workflowId },
    ...{ priority, tenant: deps.tenantOf(caller) ?? { id: tenant } },
    ...(cost === undefined ? {} : { cost }),
    ...(admission === undefined ? {} : { admission }),
    ...(replayKey === undefined ? {} : { replayKey }),
    promptText: toPayload(examined.promptText),
    extraText: toPayload(examined.extraText),
    secrets: secretsText === undefined ? undefined : sealSecrets(deps.secretKey, secretsText),
    ...{ webhook, verdict: workers?.verdict },
  });
  if (!accepted.repeated) releaseAfterAnswer(res, id, deps);
  answer(res, accepted.id, accepted);
  return accepted.repeated ? 'repeated' : 'accepted';
}

/** As the draft of the IETF has it: one key stands for one request, of whoever sends it. */
function readReplayKey(req: Request, { tenant }: Caller): string | undefined {
  const key = req.headers['idempotency-key'];
  if (key === undefined) return undefined;
  if (typeof key !== 'string' || key === '' || key.length > MAX_KEY_CHARACTERS) {
    throw new AppError(
      'bad_request',
      `Idempotency-Key must have 1 to ${MAX_KEY_CHARACTERS} characters.`,
    );
  }
  return createReplayKey(tenant, key);
}

const MAX_KEY_CHARACTERS = 255;

function answer(res: Response, id: string, accepted: Accepted): void {
  sendJsonText(
    res,
    `{"prompt_id":${JSON.stringify(id)},"number":${accepted.number},"node_errors":${accepted.nodeErrorsText}}`,
  );
}

/**
 * No execution event may reach a socket before this answer has left (wire 5.10): several client
 * libraries wait for ever otherwise. So nobody can take the job until then. A caller that hangs up gets
 * its job run all the same: it was accepted.
 */
function releaseAfterAnswer(res: Response, id: PromptId, deps: PromptDependencies): void {
  onClosed(res, () => {
    deps.producer.release(id, callerOf(res).tenant).catch((error: unknown) => {
      deps.log.warn({ err: error, promptId: id }, 'job not released; the sweeper will');
    });
  });
}
