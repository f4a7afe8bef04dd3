import type { LinkSource, LiveNode } from './live-nodes.ts';
import type { LiveGraph } from './live-graph.ts';
import { INPUT_FRAME } from './saved-workflow.ts';
import { fits } from './slot-types.ts';

/**
 * The editor cuts a link out of a Reroute when what comes in does not fit its target, and a circle of Reroutes,
 * one frame after it has loaded the file.
 */
export function cutReroutes(graph: LiveGraph): void {
  const sources = new RerouteSources(graph);
  for (const { inputs, kind } of graph.nodes) {
    for (const input of inputs) {
      if (input.link === undefined) continue;
      const from = graph.byId.get(input.link.from);
      if (from?.kind !== 'reroute') continue;
      const source = sources.find(from);
      const isCut =
        source === CIRCLE ||
        (kind !== 'reroute' && source !== undefined && !fits(source, input.type));
      if (isCut) input.link = undefined;
    }
  }
}

/** What comes into a Reroute: its type, undefined when only the outside of a subgraph knows it. */
type RerouteSource = string | undefined | typeof CIRCLE;

const CIRCLE = Symbol('circle');

class RerouteSources {
  readonly #graph: LiveGraph;
  readonly #found = new Map<LiveNode, RerouteSource>();

  constructor(graph: LiveGraph) {
    this.#graph = graph;
  }

  find(reroute: LiveNode): RerouteSource {
    const path = new Set<LiveNode>();
    let node = reroute;
    let source: RerouteSource;
    for (;;) {
      if (this.#found.has(node)) {
        source = this.#found.get(node);
        break;
      }
      path.add(node);
      const link = node.inputs[0]?.link;
      const before = link === undefined ? undefined : this.#graph.byId.get(link.from);
      if (before?.kind !== 'reroute') {
        source = link === undefined ? undefined : this.#typeOf(link);
        break;
      }
      if (path.has(before)) {
        source = CIRCLE;
        break;
      }
      node = before;
    }
    for (const passed of path) this.#found.set(passed, source);
    return source;
  }

  #typeOf({ from, slot }: LinkSource): string | undefined {
    if (from === INPUT_FRAME) return undefined;
    return this.#graph.byId.get(from)?.outputTypes[slot];
  }
}
