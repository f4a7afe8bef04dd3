import {
  isJsonObject,
  type JsonObject,
  type JsonValue,
  type NodeErrors,
  parseJson,
  type PromptError,
  type PromptRejection,
} from '@tiercel/contracts';

/** A prompt to be posted; the JSON in it stays text, so that 64-bit numbers survive. */
export interface PromptSubmission {
  readonly promptText: string;
  /** A canonical lowercase UUID: newer versions refuse anything else. */
  readonly promptId: string;
  readonly clientId: string;
  /** `extra_data` as JSON text. */
  readonly extraDataText?: string;
  /** The output nodes to run; all when absent. */
  readonly outputIds?: readonly string[];
}

/** The body of POST /prompt. */
export function writeSubmission(prompt: PromptSubmission): string {
  const { promptText, promptId, clientId, extraDataText, outputIds } = prompt;
  const ids = `"prompt_id":${JSON.stringify(promptId)},"client_id":${JSON.stringify(clientId)}`;
  const extra = extraDataText === undefined ? '' : `,"extra_data":${extraDataText}`;
  const targets =
    outputIds === undefined ? '' : `,"partial_execution_targets":${JSON.stringify(outputIds)}`;
  return `{"prompt":${promptText},${ids}${extra}${targets}}`;
}

/** What ComfyUI says to a prompt. */
export type SubmitAnswer =
  | {
      readonly kind: 'accepted';
      /** As the server knows the prompt: ours, but for versions that take no id from a client. */
      readonly promptId: string;
      readonly number: number;
      readonly nodeErrors: Readonly<Record<string, NodeErrors>>;
    }
  | { readonly kind: 'rejected'; readonly rejection: PromptRejection };

/** The body of a 200 from POST /prompt; undefined when it is none. */
export function readAccepted(body: JsonValue): SubmitAnswer | undefined {
  if (!isJsonObject(body) || typeof body.prompt_id !== 'string') return undefined;
  const number = Number(body.number);
  return {
    kind: 'accepted',
    promptId: body.prompt_id,
    number: Number.isFinite(number) ? number : 0,
    nodeErrors: readNodeErrors(body.node_errors),
  };
}

/** The body of a 400 from POST /prompt; undefined when it is none, but some proxy's. */
export function readRejection(body: JsonValue): SubmitAnswer | undefined {
  if (!isJsonObject(body)) return undefined;
  const error = readError(body.error);
  if (error === undefined) return undefined;
  return {
    kind: 'rejected',
    rejection: { error, node_errors: readNodeErrors(body.node_errors) },
  };
}

function readError(value: JsonValue | undefined): PromptError | undefined {
  if (!isJsonObject(value) || typeof value.type !== 'string') return undefined;
  const { type, message, details, extra_info: extra } = value;
  return {
    type,
    message: typeof message === 'string' ? message : type,
    details: typeof details === 'string' ? details : '',
    extra_info: isJsonObject(extra) ? extra : {},
  };
}

/** Older versions answer a list when there are none. */
function readNodeErrors(value: JsonValue | undefined): Record<string, NodeErrors> {
  if (!isJsonObject(value)) return {};
  return Object.fromEntries(
    Object.entries(value).flatMap(([nodeId, node]) =>
      isJsonObject(node) ? [[nodeId, readNode(node)]] : [],
    ),
  );
}

function readNode(node: JsonObject): NodeErrors {
  const { errors, dependent_outputs: outputs, class_type: classType } = node;
  return {
    errors: Array.isArray(errors)
      ? errors.flatMap((error: JsonValue) => readError(error) ?? [])
      : [],
    dependent_outputs: stringsOf(outputs),
    class_type: typeof classType === 'string' ? classType : '',
  };
}

/** The strings of a list; anything else in it is left out. */
export function stringsOf(value: JsonValue | undefined): string[] {
  if (!Array.isArray(value)) return [];
  return value.filter((item: JsonValue): item is string => typeof item === 'string');
}

/** Ids of the prompts on a server. */
export interface UpstreamQueue {
  readonly running: readonly string[];
  /** In the order they will run. */
  readonly pending: readonly string[];
}

/** The body of GET /queue; undefined when it is none. */
export function readUpstreamQueue(body: JsonObject): UpstreamQueue | undefined {
  const { queue_running: running, queue_pending: pending } = body;
  if (!Array.isArray(running) || !Array.isArray(pending)) return undefined;
  return { running: idsInOrder(running), pending: idsInOrder(pending) };
}

/** `[number, id, ...]` each. ComfyUI shows its heap, which is not sorted (wire 7.2). */
function idsInOrder(items: readonly JsonValue[]): string[] {
  const entries = items.flatMap((item) => {
    const [number, id] = Array.isArray(item) ? (item as readonly JsonValue[]) : [];
    return typeof id === 'string' ? [{ number: Number(number), id }] : [];
  });
  return entries.sort((a, b) => a.number - b.number || (a.id < b.id ? -1 : 1)).map(({ id }) => id);
}

/** A string, or one of the words that Python writes for numbers JSON does not have. */
const STRING_OR_WORD = /"(?:[^"\\]|\\.)*"|-?Infinity|NaN/g;
const HAS_WORD = /NaN|Infinity/;

/** JSON and the text it was read from. */
interface ReadJson {
  readonly value: JsonValue;
  /** Valid JSON with every digit kept: as it came, or with Python's words replaced by null. */
  readonly text: string;
}

/**
 * Reads what Python's json module wrote, which may hold NaN and Infinity (nodes of ComfyUI do that in
 * history and in their options). They become null, as ComfyUI's own frontend takes them.
 * @throws SyntaxError on anything else that is not JSON; see parseJson
 */
export function readPythonJson(text: string): ReadJson {
  try {
    return { value: parseJson(text), text };
  } catch (error) {
    if (!HAS_WORD.test(text)) throw error;
    const repaired = text.replace(STRING_OR_WORD, (found) =>
      found.startsWith('"') ? found : 'null',
    );
    return { value: parseJson(repaired), text: repaired };
  }
}
