import {
  isJsonObject,
  type Era,
  type JsonValue,
  type PromptError,
  type PromptRejection,
  pythonFloat,
} from '@tiercel/contracts';
import type { CompiledInput } from './class-table.ts';
import type { DynamicInputError } from './dynamic-inputs.ts';
import { clipText, echoValue, pythonRepr, showValue } from './python-text.ts';

/**
 * ComfyUI's validation errors, word for word as version 0.3.64 gives them (wire 6.9, 6.11). Texts that
 * quote the caller are cut after 10,000 characters.
 */

/** An exception ComfyUI's validation would raise; `type` is Python's name for it. */
export interface PythonException {
  readonly type: string;
  readonly message: string;
}

/** Longer choice lists are counted, not shown. */
const MAX_SHOWN_CHOICES = 20;

/** ComfyUI's answer to a body without a `prompt`. */
const NO_PROMPT: PromptRejection = reject('no_prompt', 'No prompt provided', 'No prompt provided');

/** A rejection of the prompt as a whole. */
export function reject(type: string, message: string, details: string): PromptRejection {
  return { error: { type, message, details, extra_info: {} }, node_errors: {} };
}

/** A node that has no class, or one that is not known, as it was written. */
export interface ClasslessNode {
  readonly id: string;
  /** Undefined when it has none. */
  readonly classType: JsonValue | undefined;
  readonly title: JsonValue | undefined;
}

/** As ComfyUI since 0.24, whose frontends show such nodes in a window of their own, or as 0.3.64. */
export function rejectClassless(
  { id, classType, title }: ClasslessNode,
  era: Era,
): PromptRejection {
  const details = `Node ID '#${clipText(id)}'`;
  if (era === '0.3.64') {
    const reason =
      classType === undefined
        ? 'a node is missing the class_type property.'
        : `node ${showValue(classType)} does not exist.`;
    return reject('invalid_prompt', `Cannot execute because ${reason}`, details);
  }
  const name = title ?? classType;
  const message =
    classType === undefined
      ? `Node '${title === undefined ? `ID #${clipText(id)}` : showValue(title)}' has no class_type. The workflow may be corrupted or a custom node is missing.`
      : `Node '${showValue(name ?? null)}' not found. The custom node may not be installed.`;
  const { error, node_errors } = reject('missing_node_type', message, details);
  const extra_info = {
    node_id: clipText(id),
    class_type: echoValue(classType ?? null),
    node_title: echoValue(name ?? null),
  };
  return { error: { ...error, extra_info }, node_errors };
}

export function missingInput({ name, shownName }: CompiledInput): PromptError {
  return {
    type: 'required_input_missing',
    message: 'Required input is missing',
    details: shownName,
    extra_info: { input_name: name },
  };
}

/** As ComfyUI after 0.33: it then looks at no other input of the node. */
export function badDynamicInput(error: DynamicInputError): PromptError {
  return {
    type: 'invalid_dynamic_input',
    message: 'Invalid dynamic input',
    details: clipText(error.message),
    extra_info: { input_name: clipText(error.inputName) },
  };
}

export function badLink(input: CompiledInput, value: JsonValue): PromptError {
  return {
    type: 'bad_linked_input',
    message: 'Bad linked input, must be a length-2 list of [node_id, slot_index]',
    details: input.name,
    extra_info: receivedInfo(input, value),
  };
}

export function typeMismatch(
  input: CompiledInput,
  received: JsonValue,
  link: JsonValue,
): PromptError {
  const [got, wanted] = [showValue(received), showValue(input.type)];
  return {
    type: 'return_type_mismatch',
    message: 'Return type mismatch between linked nodes',
    details: `${input.name}, received_type(${got}) mismatch input_type(${wanted})`,
    extra_info: {
      input_name: input.name,
      input_config: input.config,
      received_type: received,
      linked_node: link,
    },
  };
}

export function badValue(input: CompiledInput, value: JsonValue, reason: string): PromptError {
  const text = clipText(reason);
  return {
    type: 'invalid_input_type',
    message: `Failed to convert an input value to a ${showValue(input.type)} value`,
    details: `${input.name}, ${showValue(value)}, ${text}`,
    extra_info: { ...receivedInfo(input, value), exception_message: text },
  };
}

export function outOfRange(
  input: CompiledInput,
  value: JsonValue,
  side: 'min' | 'max',
): PromptError {
  const bound = (side === 'min' ? input.min : input.max) ?? null;
  const word = side === 'min' ? 'smaller' : 'bigger';
  return {
    type: `value_${word}_than_${side}`,
    message: `Value ${showNumber(input, value)} ${word} than ${side} of ${showNumber(input, bound)}`,
    details: input.name,
    extra_info: receivedInfo(input, value),
  };
}

/** @param refused the values that are none of the choices, shown as ComfyUI 0.33 does */
export function notInList(
  input: CompiledInput,
  value: JsonValue,
  refused: readonly JsonValue[],
): PromptError {
  const values = input.choices?.values ?? [];
  const isLong = values.length > MAX_SHOWN_CHOICES;
  const list = isLong ? `(list of length ${values.length})` : clipText(pythonRepr(values));
  const shown = refused.map(pythonRepr).join(', ');
  return {
    type: 'value_not_in_list',
    message: 'Value not in list',
    details: `${input.name}: ${clipText(shown)} not in ${list}`,
    extra_info: { ...receivedInfo(input, value), ...(isLong ? { input_config: null } : {}) },
  };
}

export function missingFile(input: CompiledInput, name: string): PromptError {
  return {
    type: 'custom_validation_failed',
    message: 'Custom validation failed for node',
    details: `${input.name} - Invalid ${input.file?.kind ?? 'input'} file: ${showValue(name)}`,
    extra_info: { input_name: input.name },
  };
}

/** An exception in an output node. The traceback is one line of ours: Python's would name files of a server. */
export function exceptionInOutput(nodeId: string, exception: PythonException): PromptError {
  return {
    type: 'exception_during_validation',
    message: 'Exception when validating node',
    details: exception.message,
    extra_info: { exception_type: exception.type, traceback: [`  in node ${nodeId}\n`] },
  };
}

/** An exception in a node reached through `link`, the value of its consumer's `input`. */
export function exceptionInInner(
  nodeId: string,
  exception: PythonException,
  input: CompiledInput,
  link: JsonValue,
): PromptError {
  return {
    type: 'exception_during_inner_validation',
    message: 'Exception when validating inner node',
    details: exception.message,
    extra_info: {
      input_name: input.name,
      input_config: input.config,
      exception_message: exception.message,
      exception_type: exception.type,
      traceback: [`  in node ${nodeId}\n`],
      linked_node: link,
    },
  };
}

/** As ComfyUI 0.24; 0.3.64 answers a cycle with no node errors at all. `path` is what to show of it. */
export function dependencyCycle(
  nodeId: string,
  cycleNodes: readonly string[],
  path: string,
): PromptError {
  return {
    type: 'dependency_cycle',
    message: 'Dependency cycle detected',
    details: path,
    extra_info: { node_id: nodeId, cycle_nodes: cycleNodes },
  };
}

function receivedInfo(input: CompiledInput, value: JsonValue): Record<string, unknown> {
  return { input_name: input.name, input_config: input.config, received_value: echoValue(value) };
}

/** FLOAT bounds are floats in nearly every class, though JSON's `100.0` arrives as 100. */
function showNumber(input: CompiledInput, value: JsonValue): string {
  return input.type === 'FLOAT' && typeof value === 'number'
    ? pythonFloat(value)
    : showValue(value);
}

const UI_WORKFLOW =
  "this is a workflow in the format of ComfyUI's editor (a list of nodes and one of links), not a prompt in " +
  'its API format; in the editor choose "Export (API)" and send that';

/** ComfyUI answers 500 to one. */
export function rejectUiWorkflow(): PromptRejection {
  return reject('invalid_prompt', `Cannot execute because ${UI_WORKFLOW}.`, '');
}

/** What POST /prompt answers to a body without a `prompt`; says so when the body itself is one. */
export function rejectMissingPrompt(body: JsonValue): PromptRejection {
  const isPrompt =
    isJsonObject(body) &&
    Object.values(body).some((node) => isJsonObject(node) && Object.hasOwn(node, 'class_type'));
  return isPrompt ? noPrompt('send the nodes as the member "prompt" of an object') : NO_PROMPT;
}

function noPrompt(hint: string): PromptRejection {
  return reject(NO_PROMPT.error.type, `${NO_PROMPT.error.message}: ${hint}.`, '');
}
