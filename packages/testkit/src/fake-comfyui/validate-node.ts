import {
  isJsonObject,
  type JsonObject,
  type JsonValue,
  type NodeInfo,
  type PromptError,
} from '@tiercel/contracts';
import type { FakeFiles } from './files.ts';
import { str } from './python-text.ts';
import { checkValue, configOf } from './validate-value.ts';

/** A node of a prompt whose inputs may be replaced by what they were converted to. */
export interface DraftNode {
  readonly class_type: string;
  readonly inputs: Record<string, JsonValue>;
}

export interface ValidationWorld {
  readonly graph: Readonly<Record<string, DraftNode>>;
  readonly find: (className: string) => NodeInfo | undefined;
  readonly files: FakeFiles;
}

/** Whether a node and all it depends on are right, and what is wrong with it alone. */
export interface NodeVerdict {
  readonly isValid: boolean;
  readonly errors: readonly PromptError[];
}

/** What Python would raise. */
class PythonError extends Error {
  readonly type: string;

  constructor(type: string, message: string) {
    super(message);
    this.type = type;
  }
}

/** Checks nodes, each once, from the outputs back (wire 6.14). */
export class NodeValidator {
  readonly #world: ValidationWorld;
  readonly verdicts = new Map<string, NodeVerdict>();
  readonly #open = new Set<string>();

  constructor(world: ValidationWorld) {
    this.#world = world;
  }

  /** @param link the input that led here; absent for an output node */
  validate(nodeId: string, link?: JsonObject): NodeVerdict {
    const known = this.verdicts.get(nodeId);
    if (known !== undefined) return known;
    if (this.#open.has(nodeId)) return { isValid: false, errors: [] }; // a cycle
    this.#open.add(nodeId);
    let verdict: NodeVerdict;
    try {
      verdict = this.#check(nodeId);
    } catch (error) {
      if (!(error instanceof PythonError)) throw error;
      verdict = { isValid: false, errors: [describeException(error, link)] };
    }
    this.#open.delete(nodeId);
    this.verdicts.set(nodeId, verdict);
    return verdict;
  }

  #check(nodeId: string): NodeVerdict {
    const node = this.#world.graph[nodeId];
    if (node === undefined) throw new PythonError('KeyError', `'${nodeId}'`);
    const info = this.#world.find(node.class_type);
    const required = info?.input.required ?? {};
    const specs = { ...required, ...info?.input.optional };
    const errors: PromptError[] = [];
    let isValid = true;
    // ComfyUI goes through a set; the order of its errors means nothing.
    for (const [name, spec] of Object.entries(specs)) {
      const value = unwrap(node.inputs[name]);
      if (value === undefined) {
        if (name in required) errors.push(describeMissing(name));
      } else if (Array.isArray(value)) {
        const found = this.#checkLink(name, configOf(spec), value as JsonValue[]);
        if (found === 'upstream') isValid = false;
        else if (found !== undefined) errors.push(found);
      } else if (isFileInput(node.class_type, name)) {
        const error = this.#checkFile(node.class_type, name, value);
        if (error !== undefined) errors.push(error);
      } else {
        const checked = checkValue(name, spec, value);
        if (checked.ok) node.inputs[name] = checked.value;
        else errors.push(checked.error);
      }
    }
    return { isValid: isValid && errors.length === 0, errors };
  }

  #checkLink(
    name: string,
    config: ReturnType<typeof configOf>,
    link: readonly JsonValue[],
  ): PromptError | 'upstream' | undefined {
    const about = { input_name: name, input_config: config };
    if (link.length !== 2) {
      return {
        type: 'bad_linked_input',
        message: 'Bad linked input, must be a length-2 list of [node_id, slot_index]',
        details: name,
        extra_info: { ...about, received_value: link },
      };
    }
    const [source, slot] = [str(link[0] ?? null), Number(link[1])];
    const sourceNode = this.#world.graph[source];
    if (sourceNode === undefined) throw new PythonError('KeyError', `'${source}'`);
    const received = this.#world.find(sourceNode.class_type)?.output[slot];
    if (received === undefined) throw new PythonError('IndexError', 'tuple index out of range');
    if (received !== '*' && config[0] !== '*' && !isSameType(received, config[0])) {
      const types = `received_type(${str(received)}) mismatch input_type(${str(config[0])})`;
      return {
        type: 'return_type_mismatch',
        message: 'Return type mismatch between linked nodes',
        details: `${name}, ${types}`,
        extra_info: { ...about, received_type: received, linked_node: link },
      };
    }
    const path = { input_name: name, input_config: [...config], linked_node: link };
    return this.validate(source, path).isValid ? undefined : 'upstream';
  }

  #checkFile(className: string, name: string, value: JsonValue): PromptError | undefined {
    const file = typeof value === 'string' ? value : '';
    if (this.#world.files.readAnnotated(file) !== undefined) return undefined;
    return {
      type: 'custom_validation_failed',
      message: 'Custom validation failed for node',
      details: `${name} - Invalid ${FILE_INPUTS[className]?.[1] ?? ''} file: ${file}`,
      extra_info: { input_name: name },
    };
  }
}

/** Class -> the input that names a file, and what ComfyUI calls it. */
const FILE_INPUTS: Readonly<Record<string, readonly [input: string, word: string]>> = {
  LoadImage: ['image', 'image'],
  LoadImageMask: ['image', 'image'],
  LoadAudio: ['audio', 'audio'],
  LoadVideo: ['file', 'video'],
  Load3D: ['model_file', 'model'],
};

function isFileInput(className: string, name: string): boolean {
  return FILE_INPUTS[className]?.[0] === name;
}

function isSameType(received: JsonValue, expected: string | readonly JsonValue[]): boolean {
  if (typeof received === 'string' && typeof expected === 'string') {
    const wanted = expected.split(',');
    return received.split(',').every((type) => wanted.includes(type));
  }
  return JSON.stringify(received) === JSON.stringify(expected);
}

function unwrap(value: JsonValue | undefined): JsonValue | undefined {
  return isJsonObject(value) && '__value__' in value ? value.__value__ : value;
}

function describeMissing(name: string): PromptError {
  return {
    type: 'required_input_missing',
    message: 'Required input is missing',
    details: name,
    extra_info: { input_name: name },
  };
}

function describeException(error: PythonError, link: JsonObject | undefined): PromptError {
  const raised: JsonObject = {
    exception_type: error.type,
    traceback: ['  File "/opt/ComfyUI/execution.py", line 1010, in validate_prompt\n'],
  };
  if (link === undefined) {
    return {
      type: 'exception_during_validation',
      message: 'Exception when validating node',
      details: error.message,
      extra_info: raised,
    };
  }
  return {
    type: 'exception_during_inner_validation',
    message: 'Exception when validating inner node',
    details: error.message,
    extra_info: { ...link, exception_message: error.message, ...raised },
  };
}
