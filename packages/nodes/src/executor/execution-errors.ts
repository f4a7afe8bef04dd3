import type { NodeMeta, UiOutput } from '@tiercel/contracts';

/** What a run has produced, whether or not it came to its end. */
export interface GraphResult {
  /** What each output node shows, by node id: the `outputs` of a history item. */
  readonly outputs: Readonly<Record<string, UiOutput>>;
  readonly meta: Readonly<Record<string, NodeMeta>>;
  /** Nodes that really ran, in order; cached ones are not among them. */
  readonly executed: readonly string[];
  /** Whether a shown picture came from the sketch generator. */
  readonly sketch: boolean;
}

/** The graph itself cannot be run: a cycle, an unknown class, a link to nowhere. */
export class GraphError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'GraphError';
  }
}

/** A node raised an error; the fields are those of ComfyUI's `execution_error` (wire 3.9). */
export class NodeExecutionError extends Error {
  readonly nodeId: string;
  readonly nodeType: string;
  readonly executed: readonly string[];
  /** Ends with a newline, as in ComfyUI, unless it is a sentence of our own. */
  readonly exceptionMessage: string;
  readonly exceptionType: string;
  readonly traceback: readonly string[];
  /** Input name -> one-element list; bigints are kept, pictures are described. */
  readonly currentInputs: Readonly<Record<string, readonly unknown[]>>;
  readonly currentOutputs: readonly string[];
  readonly partial: GraphResult;

  constructor(facts: {
    nodeId: string;
    nodeType: string;
    exceptionMessage: string;
    exceptionType: string;
    /** Whether the message is a sentence of ours for the caller, and not what a node threw. */
    isSentence: boolean;
    currentInputs: Readonly<Record<string, readonly unknown[]>>;
    currentOutputs: readonly string[];
    partial: GraphResult;
    cause: unknown;
  }) {
    super(facts.exceptionMessage, { cause: facts.cause });
    this.name = 'NodeExecutionError';
    this.nodeId = facts.nodeId;
    this.nodeType = facts.nodeType;
    this.executed = facts.partial.executed;
    this.exceptionMessage = facts.isSentence
      ? facts.exceptionMessage
      : `${facts.exceptionMessage}\n`;
    this.exceptionType = facts.exceptionType;
    this.traceback = [
      `  Node ${facts.nodeId}, in ${facts.nodeType}\n`,
      `${facts.exceptionType}: ${facts.exceptionMessage}\n`,
    ];
    this.currentInputs = facts.currentInputs;
    this.currentOutputs = facts.currentOutputs;
    this.partial = facts.partial;
  }
}

/** The run's signal was aborted. The node is the one that was running; null before the first. */
export class ExecutionInterrupted extends Error {
  readonly nodeId: string | null;
  readonly nodeType: string | null;
  readonly executed: readonly string[];
  readonly partial: GraphResult;

  constructor(node: { id: string; classType: string } | null, partial: GraphResult) {
    super('Execution was interrupted.');
    this.name = 'ExecutionInterrupted';
    this.nodeId = node?.id ?? null;
    this.nodeType = node?.classType ?? null;
    this.executed = partial.executed;
    this.partial = partial;
  }
}
