import { createHash } from 'node:crypto';
import {
  AppError,
  FALLBACK_POLICIES,
  isFallbackPolicy,
  isJsonObject,
  promptId,
  sliceMembers,
  stringifyJson,
  type JsonObject,
  type JsonValue,
  type PromptId,
} from '@tiercel/contracts';
import { rejectMissingPrompt, validatePrompt } from '@tiercel/graph';
import {
  SECRET_MEMBERS,
  sealSecrets,
  type Accepted,
  type Producer,
  type Reader,
} from '@tiercel/queue';
import type { Logger } from '@tiercel/runtime';
import type { Request, Response } from 'express';
import { v4 as uuid } from 'uuid';
import type { Catalogue } from '../catalogue.ts';
import { readJsonBody, readTextBody, sendJson, sendJsonText } from '../http/answer.ts';
import type { Route } from '../http/route.ts';

const MAX_ID_LENGTH = 1_024;

export interface PromptDependencies {
  readonly producer: Producer;
  readonly reader: Reader;
  readonly catalogue: Catalogue;
  readonly fileExists: (annotatedName: string) => Promise<boolean>;
  readonly secretKey: Uint8Array;
  readonly maxPromptNodes: number;
  readonly log: Logger;
}

/** GET and POST /prompt. */
export function createPromptRoutes(deps: PromptDependencies): Route[] {
  return [
    {
      method: 'GET',
      path: '/prompt',
      async handle(_req, res) {
        const remaining = await deps.reader.countRemaining();
        sendJson(res, { exec_info: { queue_remaining: remaining } });
      },
    },
    {
      method: 'POST',
      path: '/prompt',
      body: 'text',
      handle: (req, res) => postPrompt(req, res, deps),
    },
  ];
}

async function postPrompt(req: Request, res: Response, deps: PromptDependencies): Promise<void> {
  const body = readJsonBody(req);
  const { producer, catalogue } = deps;
  if (!isJsonObject(body) || body.prompt === undefined) {
    await reject(res, producer, rejectMissingPrompt(body));
    return;
  }
  const id = readPromptId(body);
  const number = readNumber(body);
  const text = readTextBody(req);
  const bodyHash = createHash('sha256').update(text).digest('base64');
  if (body.prompt_id !== undefined) {
    const earlier = await producer.findAccepted(id, bodyHash);
    if (earlier !== undefined) {
      answer(res, id, earlier);
      return;
    }
  }
  if (!(await catalogue.isKnown())) {
    throw new AppError('no_worker_known', 'No worker has announced its nodes yet; start one.', {
      retryAfterSeconds: 5,
    });
  }
  checkSize(body.prompt, deps.maxPromptNodes);
  const targets = readTargets(body);
  const validated = await validatePrompt(body.prompt, {
    objectInfo: catalogue.objectInfo,
    ...(targets === undefined ? {} : { targets }),
    fileExists: deps.fileExists,
  });
  if (!validated.ok) {
    await reject(res, producer, validated.rejection, number !== undefined);
    return;
  }
  const members = sliceMembers(text);
  const extra = readExtra(body, members);
  const accepted = await producer.enqueue({
    id,
    bodyHash,
    number,
    front: isTruthy(body.front),
    clientId: extra.clientId,
    promptText: members.get('prompt') ?? '{}',
    extraText: extra.text,
    outputIds: validated.outputs,
    nodeErrorsText: stringifyJson(validated.nodeErrors),
    workflowId: readWorkflowId(body),
    secrets: extra.secrets === undefined ? undefined : sealSecrets(deps.secretKey, extra.secrets),
  });
  if (!accepted.repeated) releaseAfterAnswer(res, id, deps);
  answer(res, id, accepted);
}

function answer(res: Response, id: string, accepted: Accepted): void {
  sendJsonText(
    res,
    `{"prompt_id":${JSON.stringify(id)},"number":${accepted.number},"node_errors":${accepted.nodeErrorsText}}`,
  );
}

/**
 * No execution event may reach a socket before this answer has left (WIRE.md 6.2): several client
 * libraries wait for ever otherwise. So nobody can take the job until then. A caller that hangs up gets
 * its job run all the same: it was accepted.
 */
function releaseAfterAnswer(res: Response, id: PromptId, deps: PromptDependencies): void {
  res.once('close', () => {
    deps.producer.release(id).catch((error: unknown) => {
      deps.log.warn({ err: error, promptId: id }, 'job not released; the sweeper will');
    });
  });
}

async function reject(
  res: Response,
  producer: Producer,
  rejection: unknown,
  numbered = false,
): Promise<void> {
  if (!numbered) await producer.skipNumber();
  sendJsonText(res, stringifyJson(rejection), 400);
}

function readPromptId(body: JsonObject): PromptId {
  const given = body.prompt_id;
  if (given === undefined || given === null) return promptId(uuid());
  const text = typeof given === 'string' ? given : stringifyJson(given);
  if (text.length > MAX_ID_LENGTH) {
    throw new AppError('bad_request', `prompt_id is longer than ${MAX_ID_LENGTH} characters.`);
  }
  return promptId(text);
}

/** Python's float(): numbers, numeric strings, booleans. */
function readNumber(body: JsonObject): number | undefined {
  const given = body.number;
  if (given === undefined) return undefined;
  const isNumeric =
    typeof given === 'number' ||
    typeof given === 'bigint' ||
    typeof given === 'boolean' ||
    (typeof given === 'string' && given.trim() !== '');
  const value = isNumeric ? Number(given) : NaN;
  if (!Number.isFinite(value)) {
    throw new AppError('bad_request', 'number must be a finite number.');
  }
  return value;
}

function isTruthy(value: JsonValue | undefined): boolean {
  return Array.isArray(value) ? value.length > 0 : Boolean(value);
}

function readTargets(body: JsonObject): string[] | undefined {
  const given = body.partial_execution_targets;
  if (given === undefined || given === null) return undefined;
  if (!Array.isArray(given)) {
    throw new AppError('bad_request', 'partial_execution_targets must be a list of node ids.');
  }
  return given.map((id: JsonValue) => (typeof id === 'string' ? id : stringifyJson(id)));
}

function checkSize(prompt: JsonValue | undefined, maxNodes: number): void {
  if (!isJsonObject(prompt)) return;
  const nodes = Object.keys(prompt).length;
  if (nodes <= maxNodes) return;
  throw new AppError(
    'prompt_too_large',
    `The prompt has ${nodes} nodes; the limit is ${maxNodes}.`,
  );
}

interface Extra {
  readonly text: string;
  readonly clientId: string | undefined;
  readonly secrets: string | undefined;
}

/** extra_data as it will be shown: with client_id, without credentials, all else as written. */
function readExtra(body: JsonObject, members: ReadonlyMap<string, string>): Extra {
  const given = body.extra_data;
  if (given !== undefined && given !== null && !isJsonObject(given)) {
    throw new AppError('bad_request', 'extra_data must be an object.');
  }
  if (given !== undefined && given !== null) checkRouting(given);
  const parts = sliceMembers(members.get('extra_data') ?? '{}');
  const secret = SECRET_MEMBERS.flatMap((name) => {
    const value = parts.get(name);
    parts.delete(name);
    return value === undefined ? [] : [`${JSON.stringify(name)}:${value}`];
  });
  const clientText = members.get('client_id');
  if (clientText !== undefined) parts.set('client_id', clientText);
  const text = [...parts].map(([key, value]) => `${JSON.stringify(key)}:${value}`).join(',');
  // As ComfyUI: a client_id beside the prompt wins over one in extra_data, even a null.
  const inner = isJsonObject(given) ? given.client_id : undefined;
  const client = body.client_id === undefined ? inner : body.client_id;
  return {
    text: `{${text}}`,
    clientId:
      client === undefined || client === null
        ? undefined
        : typeof client === 'string'
          ? client
          : stringifyJson(client),
    secrets: secret.length === 0 ? undefined : `{${secret.join(',')}}`,
  };
}

/** What the caller says about tiers and stored results: a word that means nothing is no default. */
function checkRouting({ fallback, cache }: JsonObject): void {
  if (fallback !== undefined && fallback !== null && !isFallbackPolicy(fallback)) {
    const words = FALLBACK_POLICIES.join(', ');
    throw new AppError('bad_request', `extra_data.fallback must be one of: ${words}.`);
  }
  if (cache !== undefined && cache !== null && typeof cache !== 'boolean') {
    throw new AppError('bad_request', 'extra_data.cache must be true or false.');
  }
}

function readWorkflowId(body: JsonObject): string | undefined {
  const path = ['extra_data', 'extra_pnginfo', 'workflow', 'id'];
  let value: JsonValue | undefined = body;
  for (const name of path) value = isJsonObject(value) ? value[name] : undefined;
  return typeof value === 'string' ? value : undefined;
}
