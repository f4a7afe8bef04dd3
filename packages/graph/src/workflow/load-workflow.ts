import type { JsonObject, ObjectInfo } from '@tiercel/contracts';
import { cutReroutes } from './cut-reroutes.ts';
import { expandGroups } from './group-nodes.ts';
import { createGraph, type LiveGraph } from './live-graph.ts';
import type { LiveNode } from './live-nodes.ts';
import { PromotedWidgets } from './promoted-widgets.ts';
import { renumberNodes } from './renumber-nodes.ts';
import { readWorkflow, type SavedDefinition } from './saved-workflow.ts';

/** A workflow as the editor has it after it has loaded the file. */
export class LoadedWorkflow {
  readonly root: LiveGraph;
  readonly #graphs: ReadonlyMap<string, LiveGraph>;

  constructor(root: LiveGraph, graphs: ReadonlyMap<string, LiveGraph>) {
    this.root = root;
    this.#graphs = graphs;
  }

  /** The graph inside an instance of a subgraph. */
  graphOf(instance: LiveNode): LiveGraph | undefined {
    return this.#graphs.get(instance.saved.type);
  }

  get graphs(): readonly LiveGraph[] {
    return [this.root, ...this.#graphs.values()];
  }
}

/** @param file what the editor has saved */
export function loadWorkflow(file: JsonObject, objectInfo: ObjectInfo): LoadedWorkflow {
  const saved = expandGroups(renumberNodes(readWorkflow(file)), objectInfo);
  const definitions = new Map<string, SavedDefinition>();
  // The first of two with one id is the one.
  for (const definition of saved.definitions) {
    if (!definitions.has(definition.id)) definitions.set(definition.id, definition);
  }
  const sources = { objectInfo, definitions };
  const graphs = new Map(
    [...definitions].map(([id, definition]) => [id, createGraph(definition, sources)]),
  );
  const loaded = new LoadedWorkflow(createGraph(saved, sources), graphs);
  for (const graph of loaded.graphs) cutReroutes(graph);
  fillPromoted(loaded, new PromotedWidgets((node) => loaded.graphOf(node), saved.originalIds));
  return loaded;
}

/** From the inside out: what an instance inside has promoted, the one around it may promote again. */
function fillPromoted(loaded: LoadedWorkflow, promoted: PromotedWidgets): void {
  const begun = new Set<LiveGraph>();
  const filled = new Set<LiveGraph>();
  // A stack of its own: a file may nest deeper than calls can.
  const stack = [...loaded.graphs].reverse();
  for (let graph = stack.at(-1); graph !== undefined; graph = stack.at(-1)) {
    if (begun.has(graph)) {
      if (!filled.has(graph)) promoted.fill(graph);
      filled.add(graph);
      stack.pop();
      continue;
    }
    begun.add(graph);
    for (const node of graph.nodes) {
      const inside = node.kind === 'instance' ? loaded.graphOf(node) : undefined;
      if (inside !== undefined && !begun.has(inside)) stack.push(inside);
    }
  }
}
