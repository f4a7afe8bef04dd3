import {
  isJsonObject,
  joinMembers,
  sliceMembers,
  stringifyJson,
  type JsonObject,
  type JsonValue,
  type PromptRejection,
} from '@tiercel/contracts';
import { convertWorkflow, isSavedWorkflow, type Conversion } from '@tiercel/graph';
import type { JudgeDeps } from './judge-prompt.ts';

export interface ConversionRules extends Pick<JudgeDeps, 'classes' | 'refreshServers'> {
  readonly maxNodes: number;
}

/** The body of a POST /prompt in JSON, and its members as they are written. */
export interface PromptBody {
  readonly body: JsonObject;
  readonly members: ReadonlyMap<string, string>;
}

/** Members of a body that a workflow posted as the whole of it may have beside its own. */
const REQUEST_MEMBERS = new Set([
  'client_id',
  'extra_data',
  'front',
  'number',
  'partial_execution_targets',
  'prompt_id',
]);

/** What the editor has saved, in place of a prompt; undefined when the body is no such thing. */
export function findWorkflow(body: JsonValue): JsonObject | undefined {
  if (!isJsonObject(body)) return undefined;
  if (isSavedWorkflow(body.prompt)) return body.prompt;
  return body.prompt === undefined && isSavedWorkflow(body) ? body : undefined;
}

/**
 * The body with a prompt in place of its workflow, which goes to where frontends put it beside a prompt, so that
 * pictures hold it. Before a class is refused the servers are looked at again.
 */
export async function convertPosted(
  posted: PromptBody,
  workflow: JsonObject,
  rules: ConversionRules,
): Promise<
  | { readonly ok: true; readonly converted: PromptBody }
  | { readonly ok: false; readonly rejection: PromptRejection }
> {
  const result = await convertLive(workflow, rules);
  if (!result.ok) return result;
  const isWhole = workflow === posted.body;
  const isKept = (name: string) => !isWhole || REQUEST_MEMBERS.has(name);
  const members = new Map([...posted.members].filter(([name]) => isKept(name)));
  const workflowText = isWhole
    ? joinMembers(new Map([...posted.members].filter(([name]) => !REQUEST_MEMBERS.has(name))))
    : (posted.members.get('prompt') ?? 'null');
  members.set('prompt', stringifyJson(result.prompt));
  const extra = addWorkflow(posted, workflowText);
  if (extra !== undefined) members.set('extra_data', extra.text);
  const body = {
    ...Object.fromEntries(Object.entries(posted.body).filter(([name]) => isKept(name))),
    // A graph is JSON, but an interface is no JsonObject to TypeScript.
    prompt: result.prompt as unknown as JsonObject,
    ...(extra === undefined ? {} : { extra_data: extra.value(workflow) }),
  };
  return { ok: true, converted: { body, members } };
}

/** With the classes as they are known, and if some are missing once more with what the servers have now. */
export async function convertLive(
  workflow: JsonObject,
  { classes, refreshServers, maxNodes }: ConversionRules,
): Promise<Conversion> {
  const convert = () =>
    convertWorkflow(workflow, {
      objectInfo: classes().objectInfo,
      ...{ maxNodes, now: new Date(), random: Math.random },
    });
  const first = convert();
  if (first.ok) return first;
  const missing = Object.values(first.rejection.node_errors)
    .filter(({ errors }) => errors.some(({ type }) => type === 'missing_node_type'))
    .map(({ class_type: className }) => className);
  if (missing.length === 0 || !(await refreshServers([...new Set(missing)]))) return first;
  return convert();
}

/** extra_data with the workflow, unless it has one; undefined when it is none to add to. */
function addWorkflow(
  { body, members }: PromptBody,
  workflowText: string,
): { readonly text: string; value(workflow: JsonObject): JsonObject } | undefined {
  const given = body.extra_data ?? {};
  if (!isJsonObject(given)) return undefined;
  const info = given.extra_pnginfo ?? {};
  if (!isJsonObject(info) || info.workflow !== undefined) return undefined;
  const parts = sliceMembers(
    isJsonObject(body.extra_data) ? (members.get('extra_data') ?? '{}') : '{}',
  );
  const infoParts = sliceMembers(parts.get('extra_pnginfo') ?? '{}');
  infoParts.set('workflow', workflowText);
  parts.set('extra_pnginfo', joinMembers(infoParts));
  return {
    text: joinMembers(parts),
    value: (workflow) => ({ ...given, extra_pnginfo: { ...info, workflow } }),
  };
}
