import type { NodeMeta, UiOutput } from '@tiercel/contracts';
import { walkGraph } from '@tiercel/graph';
import { NodeError } from '../node-definition.ts';
import type { GraphResult } from './execution-errors.ts';
import type { CachedResult } from './node-cache.ts';
import type { RunnableLink, RunnableNode, RunnableNodes } from './runnable-nodes.ts';
import { collectBuffers } from './walk-value.ts';

/** What one run knows so far: results still needed by later nodes, and what is shown to the user. */
export interface RunState {
  /** Every node id of the prompt. */
  readonly nodeIds: readonly string[];
  /** The value at the other end of a link. @throws NodeError when the node returned too few outputs */
  follow(link: RunnableLink): unknown;
  /** Whether the node has run, or was in the cache. */
  isMade(id: string): boolean;
  /** Whether a sketch goes into this node. */
  takesSketch(node: RunnableNode): boolean;
  markExecuted(id: string): void;
  /** @param origin whether this run made the result, or found it in the cache, which counts its memory itself */
  record(node: RunnableNode, result: CachedResult, origin: 'made' | 'cached'): void;
  /** Memory of the samples that this run made and still needs. */
  readonly heldBytes: number;
  /** The same with this result, too. */
  heldBytesWith(result: CachedResult): number;
  result(): GraphResult;
}

export function createRunState(
  nodes: RunnableNodes,
  outputs: readonly string[],
  cached: ReadonlyMap<string, CachedResult>,
): RunState {
  const results = new Map(cached);
  const readers = countReaders(nodes, outputs, cached);
  const shown = new Map<string, UiOutput>();
  const meta = new Map<string, NodeMeta>();
  const executed: string[] = [];
  let sketch = false;
  /** Buffers of results that this run made, by node. */
  const made = new Map<string, readonly ArrayBufferLike[]>();
  const countBytes = (more: readonly ArrayBufferLike[] = []) => {
    let bytes = 0;
    for (const { byteLength } of new Set([...[...made.values()].flat(), ...more])) {
      bytes += byteLength;
    }
    return bytes;
  };

  return {
    nodeIds: [...nodes.keys()],
    follow(link) {
      const values = results.get(link.from)?.outputs ?? [];
      if (link.slot < values.length) return values[link.slot];
      throw new NodeError(`Node ${link.from} returned no output ${link.slot}.`, {
        exceptionType: 'IndexError',
      });
    },
    isMade: (id) => results.has(id),
    takesSketch: (node) => node.links.some(({ from }) => results.get(from)?.sketch),
    markExecuted: (id) => executed.push(id),
    get heldBytes() {
      return countBytes();
    },
    heldBytesWith: ({ outputs: values }) => countBytes(collectBuffers(values)),
    record(node, result, origin) {
      results.set(node.id, result);
      const buffers = origin === 'made' ? collectBuffers(result.outputs) : [];
      if (buffers.length > 0) made.set(node.id, buffers);
      if (result.ui) {
        shown.set(node.id, result.ui);
        meta.set(node.id, plainMeta(node.id));
        sketch ||= result.sketch;
      }
      // A picture that nobody will read any more need not be kept for the rest of the run.
      for (const from of new Set(node.links.map((link) => link.from))) {
        const left = (readers.get(from) ?? 0) - 1;
        readers.set(from, left);
        if (left > 0) continue;
        results.delete(from);
        made.delete(from);
      }
    },
    result: () => ({
      outputs: Object.fromEntries(shown),
      meta: Object.fromEntries(meta),
      executed: [...executed],
      sketch,
    }),
  };
}

/** How many nodes of this run read each node's result. */
function countReaders(
  nodes: RunnableNodes,
  outputs: readonly string[],
  cached: ReadonlyMap<string, CachedResult>,
): Map<string, number> {
  const readers = new Map<string, number>();
  walkGraph(outputs, {
    *sourcesOf(id) {
      for (const from of new Set(nodes.get(id)?.links.map((link) => link.from))) {
        readers.set(from, (readers.get(from) ?? 0) + 1);
        if (!cached.has(from)) yield from;
      }
    },
  });
  return readers;
}

function plainMeta(id: string): NodeMeta {
  return { node_id: id, display_node: id, parent_node: null, real_node_id: id };
}
