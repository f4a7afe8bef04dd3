import {
  isJsonObject,
  type Era,
  type JsonObject,
  type JsonValue,
  type ObjectInfo,
  type PromptError,
  type PromptRejection,
} from '@tiercel/contracts';
import { classFinder, type CompiledClass, type CompiledInput } from './class-table.ts';
import { DynamicInputError } from './dynamic-inputs.ts';
import { GraphNode, readNode } from './graph-nodes.ts';
import { badDynamicInput, reject, rejectClassless, rejectUiWorkflow } from './prompt-errors.ts';
import { isSavedWorkflow } from './workflow/saved-workflow.ts';

/** A node of the prompt and what validation has found out about it so far. */
export interface NodeState {
  readonly id: string;
  readonly classType: string;
  readonly inputs: JsonObject;
  readonly compiled: CompiledClass;
  /** Those it has with its values; none when they could not be told. */
  readonly declared: readonly CompiledInput[];
  /** The input that was looked at last. */
  current: CompiledInput | undefined;
  /** Reasons of its own. */
  errors: PromptError[];
  /** The nodes it was found to depend on. */
  sources: NodeState[];
  /** An exception ended its validation: further reasons do not count. */
  raised: boolean;
  /** Itself or something it depends on has errors. */
  failed: boolean;
}

/** Node id -> state, in the order of the prompt's keys. */
export type GraphStates = ReadonlyMap<string, NodeState>;

/**
 * The first pass: every node must be of a known class, whether it would run or not. Where ComfyUI
 * answers 500 (the prompt or a node's inputs not an object, a class_type not a string) this rejects.
 */
export function readGraph(
  prompt: JsonValue,
  objectInfo: ObjectInfo,
  era: Era,
):
  | { readonly ok: true; readonly states: GraphStates }
  | { readonly ok: false; readonly rejection: PromptRejection } {
  if (!isJsonObject(prompt)) {
    return refuse('Cannot execute because the prompt is not an object of nodes.', '');
  }
  if (isSavedWorkflow(prompt)) return { ok: false, rejection: rejectUiWorkflow() };
  const findClass = classFinder(objectInfo);
  const states = new Map<string, NodeState>();
  for (const id of Object.keys(prompt)) {
    const node = readNode(id, prompt[id]);
    const { classType, title } = node;
    const compiled = typeof classType === 'string' ? findClass(classType) : undefined;
    if (compiled === undefined) {
      return { ok: false, rejection: rejectClassless({ id, classType, title }, era) };
    }
    if (!(node instanceof GraphNode)) {
      return refuse(
        'Cannot execute because the inputs of a node are not an object.',
        `Node ID '#${id}'`,
      );
    }
    states.set(id, createState(node, compiled));
  }
  return { ok: true, states };
}

function createState({ nodeId, classType, inputs }: GraphNode, compiled: CompiledClass): NodeState {
  const { declared, errors } = readDeclared(compiled, inputs);
  return {
    id: nodeId,
    classType,
    inputs,
    compiled,
    declared,
    current: undefined,
    errors,
    sources: [],
    raised: false,
    failed: false,
  };
}

function readDeclared(
  compiled: CompiledClass,
  inputs: JsonObject,
): { declared: readonly CompiledInput[]; errors: PromptError[] } {
  try {
    return { declared: compiled.inputsOf(inputs), errors: [] };
  } catch (error) {
    if (!(error instanceof DynamicInputError)) throw error;
    return { declared: [], errors: [badDynamicInput(error)] };
  }
}

function refuse(message: string, details: string): { ok: false; rejection: PromptRejection } {
  return { ok: false, rejection: reject('invalid_prompt', message, details) };
}
