import { isLink, type PromptGraph } from '@tiercel/contracts';

interface Pending {
  readonly waitsFor: Set<string>;
  readonly blocks: Set<string>;
}

/**
 * Which node is next, as ComfyUI 0.3.64 picks it: among those whose inputs are there, an output node
 * first, else one that an output node waits for, else one two steps before an output, else the oldest.
 */
export class ExecutionOrder {
  readonly #graph: PromptGraph;
  readonly #isOutput: (nodeId: string) => boolean;
  readonly #pending = new Map<string, Pending>();

  /** @param isCached nodes that need not run; they do not hold anything up */
  constructor(
    graph: PromptGraph,
    outputs: readonly string[],
    known: { isOutput: (nodeId: string) => boolean; isCached: (nodeId: string) => boolean },
  ) {
    this.#graph = graph;
    this.#isOutput = known.isOutput;
    for (const output of outputs) this.#add(output, known.isCached);
    for (const [nodeId, { waitsFor }] of this.#pending) {
      for (const source of waitsFor) this.#pending.get(source)?.blocks.add(nodeId);
    }
  }

  #add(output: string, isCached: (nodeId: string) => boolean): void {
    const stack = [output];
    for (let nodeId = stack.pop(); nodeId !== undefined; nodeId = stack.pop()) {
      if (this.#pending.has(nodeId)) continue;
      const links = Object.values(this.#graph[nodeId]?.inputs ?? {}).filter(isLink);
      const sources = links.map(([source]) => source).filter((source) => !isCached(source));
      this.#pending.set(nodeId, { waitsFor: new Set(sources), blocks: new Set() });
      stack.push(...sources);
    }
  }

  /** undefined: everything has run. */
  next(): string | undefined {
    const ready = [...this.#pending].flatMap(([id, { waitsFor }]) =>
      waitsFor.size === 0 ? [id] : [],
    );
    const leadsToOutput = (nodeId: string, steps: number): boolean =>
      steps === 0
        ? this.#isOutput(nodeId)
        : [...(this.#pending.get(nodeId)?.blocks ?? [])].some((id) => leadsToOutput(id, steps - 1));
    for (const steps of [0, 1, 2]) {
      const found = ready.find((id) => leadsToOutput(id, steps));
      if (found !== undefined) return found;
    }
    return ready[0];
  }

  complete(nodeId: string): void {
    for (const id of this.#pending.get(nodeId)?.blocks ?? []) {
      this.#pending.get(id)?.waitsFor.delete(nodeId);
    }
    this.#pending.delete(nodeId);
  }
}
