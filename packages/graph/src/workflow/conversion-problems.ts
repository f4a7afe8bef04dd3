import type { NodeErrors, PromptError, PromptRejection } from '@tiercel/contracts';
import { reject } from '../prompt-errors.ts';
import { clipText } from '../python-text.ts';

/** A node of the prompt that would have been: `5:101` stands inside the subgraph that node 5 is. */
export interface ProblemPlace {
  readonly id: string;
  readonly classType: string;
}

interface ProblemText {
  readonly message: string;
  readonly details: string;
  readonly inputName?: string;
}

/** More are not told apart by anybody, and the answer stays small. */
const MAX_PROBLEMS = 100;

/** Why a workflow has no prompt, node by node, as ComfyUI tells of invalid prompts. */
export class ConversionProblems {
  readonly #maxNodes: number;
  readonly #byNode = new Map<string, { classType: string; errors: PromptError[] }>();
  #nodes = 0;
  #first: { readonly place: ProblemPlace; readonly error: PromptError } | undefined;
  #isTooLarge = false;

  constructor(maxNodes: number) {
    this.#maxNodes = maxNodes;
  }

  /** Whether looking further serves nobody. */
  get isFull(): boolean {
    return this.#isTooLarge || this.#byNode.size >= MAX_PROBLEMS;
  }

  /** Another node of the prompt, or an instance of a subgraph. */
  countNode(place: ProblemPlace): void {
    this.#nodes += 1;
    if (this.#nodes <= this.#maxNodes || this.#isTooLarge) return;
    this.#isTooLarge = true;
    this.add(place, 'too_many_nodes', {
      message: `The workflow has more than ${this.#maxNodes} nodes with those inside its subgraphs`,
      details: '',
    });
  }

  add({ id, classType }: ProblemPlace, type: string, text: ProblemText): void {
    const { message, details, inputName } = text;
    const error = {
      type,
      message,
      details: clipText(details),
      extra_info: inputName === undefined ? {} : { input_name: clipText(inputName) },
    };
    this.#put({ id, classType }, error);
  }

  /** In the words of the newest ComfyUI, which its editor knows. */
  addMissingType({ id, classType }: ProblemPlace, title: string): void {
    const shown = clipText(title === '' ? classType : title);
    this.#put(
      { id, classType },
      {
        type: 'missing_node_type',
        message: `Node '${shown}' not found. ${explainMissing(classType)}`,
        details: `Node ID '#${id}'`,
        extra_info: { node_id: id, class_type: clipText(classType), node_title: shown },
      },
    );
  }

  #put(place: ProblemPlace, error: PromptError): void {
    this.#first ??= { place, error };
    const known = this.#byNode.get(place.id);
    if (known !== undefined) known.errors.push(error);
    else this.#byNode.set(place.id, { classType: place.classType, errors: [error] });
  }

  /** @returns undefined when there are none */
  reject(): PromptRejection | undefined {
    if (this.#first === undefined) return undefined;
    const { place, error } = this.#first;
    const count = this.#byNode.size;
    const others = count > 1 ? ` (and ${count - 1} more ${count === 2 ? 'node' : 'nodes'})` : '';
    const entries = [...this.#byNode].map(([id, { classType, errors }]): [string, NodeErrors] => [
      id,
      { errors, dependent_outputs: [], class_type: clipText(classType) },
    ]);
    const rejection = reject(
      error.type === 'missing_node_type' ? error.type : 'workflow_not_convertible',
      `The workflow cannot be converted: node ${clipText(place.id)}: ${error.message}${others}`,
      error.details,
    );
    const { extra_info: extraInfo } = error.type === 'missing_node_type' ? error : rejection.error;
    return {
      error: { ...rejection.error, extra_info: extraInfo },
      node_errors: Object.fromEntries(entries),
    };
  }
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

function explainMissing(classType: string): string {
  if (UUID.test(classType)) return 'The file has no definition of this subgraph.';
  if (/^workflow[>/]/.test(classType)) return 'The file has no data of this group node.';
  return 'The custom node may not be installed.';
}
