import { createHash } from 'node:crypto';
import {
  FALLBACK_POLICIES,
  AppError,
  DEFAULT_TENANT,
  isFallbackPolicy,
  isJsonObject,
  joinMembers,
  hideWebhook,
  isPriority,
  keyText,
  PRIORITIES,
  promptId,
  readWebhook,
  SECRET_MEMBERS,
  sliceMembers,
  stringifyJson,
  type Era,
  type GivenWebhook,
  type JsonObject,
  type JsonValue,
  type Priority,
  type PromptId,
  type PromptRejection,
} from '@tiercel/contracts';
import {
  describeDemand,
  describeNeeds,
  describeWork,
  readNodes,
  rejectMissingPrompt,
  type Demand,
  type GraphNeeds,
  type GraphNodes,
} from '@tiercel/graph';
import type { ExpectedCost } from '@tiercel/queue';
import { v4 as uuid } from 'uuid';
import { convertPosted, findWorkflow, type PromptBody } from './convert-posted.ts';
import { judgePrompt, type JudgeDeps } from './judge-prompt.ts';
import type { LongText } from './long-text.ts';
import { parseBody } from './parse-body.ts';
import { isFile, readPostedText } from './read-posted.ts';

const MAX_ID_LENGTH = 1_024;

export interface PromptRules extends JudgeDeps {
  readonly maxNodes: number;
  readonly maxValues: number;
  /** Whether files and workflows, which take long for their size, are for somebody else. */
  readonly isLight: boolean;
}

/** A body that is not examined where other requests wait. */
export class HeavyBodyError extends Error {
  override readonly name = 'HeavyBodyError';
}

/** A POST /prompt, as far as it is read here. */
export interface PromptRequest {
  readonly bytes: Uint8Array;
  readonly contentType: string | undefined;
  /** What the request names as its program, in its header Comfy-Usage-Source. */
  readonly usageSource: string | undefined;
  readonly tenant: string;
  /** Nobody asks what a worker must have for it. */
  readonly areWorkersAlike: boolean;
}

/** Who a prompt is. */
interface PromptIdentity {
  readonly id: PromptId;
  /** Whether the caller chose it. */
  readonly isOwnId: boolean;
  /** SHA-256 of the body. */
  readonly bodyHash: string;
}

/** What the body of a POST /prompt comes to, in texts that are stored or sent as they are. */
export type ExaminedPrompt =
  | {
      readonly kind: 'rejected';
      /** Undefined when the body holds no prompt at all. */
      readonly identity: PromptIdentity | undefined;
      /** Whether it brought a number of its own. */
      readonly isNumbered: boolean;
      /** The body of the 400. */
      readonly rejectionText: LongText;
    }
  | {
      readonly kind: 'valid';
      readonly identity: PromptIdentity;
      readonly number: number | undefined;
      readonly front: boolean;
      readonly clientId: string | undefined;
      readonly promptText: LongText;
      /** extra_data with client_id, without secrets. */
      readonly extraText: LongText;
      readonly secretsText: string | undefined;
      /** Whom to tell of the job, as the caller says it. */
      readonly webhook: GivenWebhook | undefined;
      readonly outputIds: readonly string[];
      readonly nodeErrorsText: string;
      readonly workflowId: string | undefined;
      readonly priority: Priority;
      /** What a plan limits; undefined for DEFAULT_TENANT, which has none. */
      readonly asks: Asked | undefined;
      /** What a worker must have, and how long it is busy; undefined while workers are alike. */
      readonly needs: Needs | undefined;
    };

/**
 * Reads and validates the body of a POST /prompt. Runs in the API's own thread for small bodies, and in
 * another one for large.
 * @throws AppError bad_json, bad_request, body_too_large, prompt_too_large
 * @throws HeavyBodyError
 */
export async function examinePrompt(
  request: PromptRequest,
  rules: PromptRules,
): Promise<ExaminedPrompt> {
  const { bytes, usageSource, tenant, areWorkersAlike } = request;
  if (rules.isLight && isFile(request)) throw new HeavyBodyError();
  const text = readPostedText(request, rules.maxValues);
  const given = parseBody(text, rules.maxValues);
  const workflow = findWorkflow(given);
  if (!isJsonObject(given) || (given.prompt === undefined && workflow === undefined)) {
    const rejectionText = stringifyJson(rejectMissingPrompt(given));
    return { kind: 'rejected', identity: undefined, isNumbered: false, rejectionText };
  }
  const identity = {
    id: readPromptId(given),
    isOwnId: given.prompt_id !== undefined,
    bodyHash: createHash('sha256').update(bytes).digest('base64'),
  };
  const number = readNumber(given);
  const reject = (rejection: PromptRejection): ExaminedPrompt => {
    const rejectionText = stringifyJson(rejection);
    return { kind: 'rejected', identity, isNumbered: number !== undefined, rejectionText };
  };
  let posted: PromptBody = { body: given, members: sliceMembers(text) };
  if (workflow !== undefined) {
    if (rules.isLight) throw new HeavyBodyError();
    const result = await convertPosted(posted, workflow, rules);
    if (!result.ok) return reject(result.rejection);
    posted = result.converted;
  }
  const { body, members } = posted;
  checkSize(body.prompt, rules.maxNodes);
  const targets = readTargets(body);
  const { promptText, prompt, validated } = await judgePrompt(
    { prompt: body.prompt ?? null, text: members.get('prompt') ?? '{}', targets },
    rules,
  );
  if (!validated.ok) return reject(validated.rejection);
  const extra = readExtra(body, members, { usageSource, era: rules.era });
  return {
    kind: 'valid',
    ...{ identity, number },
    front: isTruthy(body.front),
    clientId: extra.clientId,
    promptText,
    extraText: extra.text,
    secretsText: extra.secrets,
    webhook: extra.webhook,
    outputIds: validated.outputs,
    nodeErrorsText: stringifyJson(validated.nodeErrors),
    workflowId: readWorkflowId(body),
    priority: extra.priority,
    asks: tenant === DEFAULT_TENANT ? undefined : readAsked(body.prompt ?? null),
    needs: areWorkersAlike ? undefined : readNeeds(prompt),
  };
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
  readonly priority: Priority;
  readonly webhook: GivenWebhook | undefined;
}

/**
 * extra_data as it will be shown: with client_id, without credentials, of a webhook's address the origin alone, all
 * else as written. Since ComfyUI 0.24 with the time at which it came, in milliseconds, whatever the body says of it.
 * @param request its program (`usageSource`) counts unless the body names one
 */
function readExtra(
  body: JsonObject,
  members: ReadonlyMap<string, string>,
  { usageSource, era }: { readonly usageSource: string | undefined; readonly era: Era },
): Extra {
  const given = body.extra_data;
  if (given !== undefined && given !== null && !isJsonObject(given)) {
    throw new AppError('bad_request', 'extra_data must be an object.');
  }
  if (given !== undefined && given !== null) {
    checkRouting(given);
    checkPriority(given);
  }
  const parts = sliceMembers(members.get('extra_data') ?? '{}');
  const secret = SECRET_MEMBERS.flatMap((name) => {
    const value = parts.get(name);
    parts.delete(name);
    return value === undefined ? [] : [`${JSON.stringify(name)}:${value}`];
  });
  const webhook = readJobWebhook(isJsonObject(given) ? given.webhook : undefined);
  if (webhook !== undefined) parts.set('webhook', JSON.stringify(hideWebhook(webhook)));
  if (usageSource !== undefined && usageSource !== '' && !parts.has('comfy_usage_source')) {
    parts.set('comfy_usage_source', JSON.stringify(usageSource));
  }
  if (era !== '0.3.64') parts.set('create_time', String(Date.now()));
  const clientText = members.get('client_id');
  if (clientText !== undefined) parts.set('client_id', clientText);
  // As ComfyUI: a client_id beside the prompt wins over one in extra_data, even a null.
  const inner = isJsonObject(given) ? given.client_id : undefined;
  const client = body.client_id === undefined ? inner : body.client_id;
  return {
    text: joinMembers(parts),
    clientId:
      client === undefined || client === null
        ? undefined
        : keyText(typeof client === 'string' ? client : stringifyJson(client)),
    secrets: secret.length === 0 ? undefined : `{${secret.join(',')}}`,
    priority: isJsonObject(given) && isPriority(given.priority) ? given.priority : 'normal',
    webhook,
  };
}

function readJobWebhook(given: JsonValue | undefined): GivenWebhook | undefined {
  if (given === undefined || given === null) return undefined;
  return readWebhook(given, 'extra_data.webhook');
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

function checkPriority({ priority }: JsonObject): void {
  if (priority === undefined || priority === null || isPriority(priority)) return;
  throw new AppError(
    'bad_request',
    `extra_data.priority must be one of: ${PRIORITIES.join(', ')}.`,
  );
}

/** A first guess of the run time that a step of a megapixel takes; what has run is known better. */
const MS_PER_STEP = 100;

/** What decides which workers a job is for. */
export interface Needs extends GraphNeeds {
  readonly cost: ExpectedCost;
}

interface Asked {
  readonly cost: ExpectedCost;
  readonly demand: Demand;
}

function readAsked(prompt: JsonValue): Asked {
  const nodes = readNodes(prompt);
  return { cost: expectCost(nodes), demand: describeDemand(nodes) };
}

function readNeeds(prompt: JsonValue): Needs {
  const nodes = readNodes(prompt);
  return { ...describeNeeds(nodes), cost: expectCost(nodes) };
}

/** Graphs of the same classes that ask for about as much, within a factor of 1.4, cost about the same. */
function expectCost(nodes: GraphNodes): ExpectedCost {
  const { classes, amount } = describeWork(nodes);
  const bucket = Math.round(2 * Math.log2(amount));
  const signature = createHash('sha256')
    .update(JSON.stringify([classes, bucket]))
    .digest('base64url')
    .slice(0, 16);
  return { signature, estimateMs: Math.round(amount * MS_PER_STEP) };
}

function readWorkflowId(body: JsonObject): string | undefined {
  const path = ['extra_data', 'extra_pnginfo', 'workflow', 'id'];
  let value: JsonValue | undefined = body;
  for (const name of path) value = isJsonObject(value) ? value[name] : undefined;
  return typeof value === 'string' && value !== '' ? keyText(value) : undefined;
}
