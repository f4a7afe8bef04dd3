import type { CompiledInput } from './class-table.ts';
import { checkLink, checkValue, type InputVerdict } from './check-input.ts';
import {
  dependencyCycle,
  exceptionInInner,
  exceptionInOutput,
  missingInput,
  type PythonException,
} from './prompt-errors.ts';
import { isList } from './python-text.ts';
import type { GraphStates, NodeState } from './read-graph.ts';
import { walkGraph } from './walk-graph.ts';

/** A file whose existence decides about a node. */
export interface FileCheck {
  readonly state: NodeState;
  readonly input: CompiledInput;
  readonly name: string;
}

/** Cycle members named in one answer; a crafted graph could otherwise make it grow with the square of its size. */
const MAX_CYCLE_NODES = 20_000;

/**
 * Looks once at every node that the outputs depend on, inputs in declared order, sources before their
 * consumers.
 */
export class GraphCheck {
  /** Every node looked at; sources stand before their consumers. */
  readonly order: NodeState[] = [];
  readonly fileChecks: FileCheck[] = [];
  readonly #states: GraphStates;
  #cycleNodesLeft = MAX_CYCLE_NODES;

  constructor(states: GraphStates) {
    this.#states = states;
  }

  /** Once. */
  run(outputs: readonly NodeState[]): void {
    walkGraph(outputs, {
      sourcesOf: (state, path) => this.#lookThrough(state, path),
      leave: (state) => {
        this.order.push(state);
      },
      closeCycle: (path, index) => {
        this.#closeCycle(path, index);
      },
    });
  }

  /** Checks the inputs of a node one by one; between them the walk goes to those that are linked. */
  *#lookThrough(state: NodeState, path: readonly NodeState[]): Iterable<NodeState> {
    for (const input of state.declared) {
      if (state.raised) return;
      state.current = input;
      const source = this.#lookAt(state, input, path);
      if (source === undefined) continue;
      state.sources.push(source);
      yield source;
    }
  }

  /** The node at the other end of the input's link. */
  #lookAt(
    state: NodeState,
    input: CompiledInput,
    path: readonly NodeState[],
  ): NodeState | undefined {
    const value = Object.hasOwn(state.inputs, input.name) ? state.inputs[input.name] : undefined;
    if (value === undefined) {
      if (input.required) state.errors.push(missingInput(input));
    } else if (isList(value)) {
      const verdict = checkLink(input, value, (nodeId) => this.#states.get(nodeId)?.compiled);
      const [from] = value;
      if (verdict.kind !== 'fine') this.#record(state, input, verdict, path);
      else return typeof from === 'string' ? this.#states.get(from) : undefined;
    } else {
      this.#record(state, input, checkValue(input, value), path);
    }
    return undefined;
  }

  #record(
    state: NodeState,
    input: CompiledInput,
    verdict: InputVerdict,
    path: readonly NodeState[],
  ): void {
    if (verdict.kind === 'error') state.errors.push(verdict.error);
    else if (verdict.kind === 'exception') raise(state, verdict.exception, path.at(-2));
    else if (verdict.kind === 'file') this.fileChecks.push({ state, input, name: verdict.name });
  }

  /** The last node of the path links back to the one at `index`: everything between them is the cycle. */
  #closeCycle(path: readonly NodeState[], index: number): void {
    const [first, state] = [path[index], path.at(-1)];
    if (first === undefined || state === undefined) return;
    if (state.errors.some((error) => error.type === 'dependency_cycle')) return;
    const length = path.length - index;
    const isShown = length <= this.#cycleNodesLeft;
    const members = isShown ? path.slice(index) : first === state ? [first] : [first, state];
    if (isShown) this.#cycleNodesLeft -= length;
    const names = [...members, first].map((member) => `${member.id} (${member.classType})`);
    if (!isShown && length > members.length) names.splice(1, 0, '...');
    const ids = members.map((member) => member.id);
    state.errors.push(dependencyCycle(state.id, ids, names.join(' -> ')));
  }
}

/**
 * An exception replaces all the node's reasons and ends its validation, as it does in ComfyUI.
 * @param consumer the node whose link led here
 */
function raise(
  state: NodeState,
  exception: PythonException,
  consumer: NodeState | undefined,
): void {
  const input = consumer?.current;
  const link = input === undefined ? undefined : consumer?.inputs[input.name];
  state.errors = [
    input === undefined || link === undefined
      ? exceptionInOutput(state.id, exception)
      : exceptionInInner(state.id, exception, input, link),
  ];
  state.raised = true;
}
