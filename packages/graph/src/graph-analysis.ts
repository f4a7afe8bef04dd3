import type { PromptGraph } from '@tiercel/contracts';
import { readNodes, type GraphNode, type GraphNodes } from './graph-nodes.ts';
import { lowerGraph } from './lower/lower-graph.ts';
import type { Lowering } from './lower/lowering.ts';
import { walkGraph } from './walk-graph.ts';

/**
 * What the graph of one job means. Made once for the job and carried with it: each part is computed when it is first
 * asked for, and then kept, however many tiers, polls and messages ask. The graph must not change.
 */
export class GraphAnalysis {
  readonly #graph: PromptGraph;
  readonly #outputIds: readonly string[];
  #nodes: GraphNodes | undefined;
  #needed: GraphNodes | undefined;
  #lowering: Lowering | undefined;
  readonly #answers = new WeakMap<object, WeakMap<object, { readonly answer: unknown }>>();

  /** @param outputIds of the output nodes that are to run */
  constructor(graph: PromptGraph, outputIds: readonly string[]) {
    this.#graph = graph;
    this.#outputIds = outputIds;
  }

  /** All nodes, whether they will run or not. */
  get nodes(): GraphNodes {
    return (this.#nodes ??= readNodes(this.#graph));
  }

  /**
   * The nodes that the outputs depend on, these included; the others never run. The last output and the last input
   * stand first.
   */
  get needed(): GraphNodes {
    return (this.#needed ??= pickNeeded(this.nodes, this.#outputIds));
  }

  /** What the graph asks image services for. */
  get lowering(): Lowering {
    return (this.#lowering ??= lowerGraph(this.nodes, this.#outputIds));
  }

  /**
   * What `ask` answers about this graph and a subject (the catalogue of a server, the setup of a tier): asked once
   * for each pair, so it must be pure, and a subject that changes must become another object.
   */
  once<S extends object, A>(ask: (analysis: GraphAnalysis, subject: S) => A, subject: S): A {
    const answers = this.#answers.get(ask) ?? new WeakMap<object, { readonly answer: unknown }>();
    this.#answers.set(ask, answers);
    const known = answers.get(subject) ?? { answer: ask(this, subject) };
    answers.set(subject, known);
    return known.answer as A; // kept under the function that gave it
  }
}

function pickNeeded(nodes: GraphNodes, outputIds: readonly string[]): GraphNodes {
  const needed = new Map<string, GraphNode>();
  const ids = walkGraph(outputIds.toReversed(), {
    sourcesOf: (id) => nodes.get(id)?.sources.toReversed() ?? [],
  });
  for (const id of ids) {
    const node = nodes.get(id);
    if (node !== undefined) needed.set(id, node);
  }
  return needed;
}
