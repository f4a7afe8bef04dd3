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
 * consumers. Depth-first with a stack of its own: chains may be longer than the call stack is deep.
 */
export class GraphWalk {
  /** Every node looked at; sources stand before their consumers. */
  readonly order: NodeState[] = [];
  readonly fileChecks: FileCheck[] = [];
  readonly #states: GraphStates;
  readonly #stack: NodeState[] = [];
  #cycleNodesLeft = MAX_CYCLE_NODES;

  constructor(states: GraphStates) {
    this.#states = states;
  }

  visit(output: NodeState): void {
    if (output.phase === 'new') this.#open(output);
    for (let state = this.#stack.at(-1); state !== undefined; state = this.#stack.at(-1)) {
      const input = state.declared[state.next];
      if (input === undefined) {
        this.#stack.pop();
        state.phase = 'done';
        this.order.push(state);
      } else {
        state.next += 1;
        this.#lookAt(state, input);
      }
    }
  }

  #open(state: NodeState): void {
    state.phase = 'open';
    state.depth = this.#stack.length;
    this.#stack.push(state);
  }

  #lookAt(state: NodeState, input: CompiledInput): void {
    const value = Object.hasOwn(state.inputs, input.name) ? state.inputs[input.name] : undefined;
    if (value === undefined) {
      if (input.required) state.errors.push(missingInput(input));
    } else if (isList(value)) {
      const verdict = checkLink(input, value, (nodeId) => this.#states.get(nodeId)?.compiled);
      if (verdict.kind === 'fine') this.#follow(state, value[0]);
      else this.#record(state, input, verdict);
    } else {
      this.#record(state, input, checkValue(input, value));
    }
  }

  #record(state: NodeState, input: CompiledInput, verdict: InputVerdict): void {
    if (verdict.kind === 'error') state.errors.push(verdict.error);
    else if (verdict.kind === 'exception') this.#raise(state, verdict.exception);
    else if (verdict.kind === 'file') this.fileChecks.push({ state, input, name: verdict.name });
  }

  #follow(state: NodeState, sourceId: unknown): void {
    const source = typeof sourceId === 'string' ? this.#states.get(sourceId) : undefined;
    if (source === undefined) return;
    state.sources.push(source);
    if (source.phase === 'new') this.#open(source);
    else if (source.phase === 'open') this.#closeCycle(state, source);
  }

  /** An exception replaces all the node's reasons and ends its validation, as it does in ComfyUI. */
  #raise(state: NodeState, exception: PythonException): void {
    const consumer = this.#stack.at(-2);
    const input = consumer?.declared[consumer.next - 1];
    const link = input === undefined ? undefined : consumer?.inputs[input.name];
    state.errors = [
      input === undefined || link === undefined
        ? exceptionInOutput(state.id, exception)
        : exceptionInInner(state.id, exception, input, link),
    ];
    state.raised = true;
    state.next = state.declared.length;
  }

  /** `state` links back to `first`, which is being validated: everything on the stack between them. */
  #closeCycle(state: NodeState, first: NodeState): void {
    if (state.errors.some((error) => error.type === 'dependency_cycle')) return;
    const length = this.#stack.length - first.depth;
    const isShown = length <= this.#cycleNodesLeft;
    const members = isShown
      ? this.#stack.slice(first.depth)
      : first === state
        ? [first]
        : [first, state];
    if (isShown) this.#cycleNodesLeft -= length;
    const names = [...members, first].map((member) => `${member.id} (${member.classType})`);
    if (!isShown && length > members.length) names.splice(1, 0, '...');
    const ids = members.map((member) => member.id);
    state.errors.push(dependencyCycle(state.id, ids, names.join(' -> ')));
  }
}
