import type { JsonValue } from '@tiercel/contracts';
import { readNodes } from './graph-nodes.ts';
import { walkGraph } from './walk-graph.ts';

/** The part that a node has in the work of its graph. */
interface OutlineNode {
  /** 1, or the steps that it is given. */
  readonly parts: number;
  readonly sources: readonly string[];
}

/** The nodes that run for the outputs of a graph, by id. */
export type Outline = ReadonlyMap<string, OutlineNode>;

/** What has become of a node, as `progress_state` tells it. */
export interface NodeState {
  readonly value: number;
  readonly max: number;
  readonly state: string;
}

const MAX_STEPS = 10_000;

/** @param outputIds of the output nodes that are to run */
export function outlineGraph(prompt: JsonValue, outputIds: readonly string[]): Outline {
  const nodes = readNodes(prompt);
  const outline = new Map<string, OutlineNode>();
  const needed = walkGraph(outputIds, { sourcesOf: (id) => nodes.get(id)?.sources ?? [] });
  for (const id of needed) {
    const node = nodes.get(id);
    if (node === undefined) continue;
    const { steps } = node.inputs;
    const parts = typeof steps === 'number' && steps >= 1 ? Math.min(steps, MAX_STEPS) : 1;
    outline.set(id, { parts, sources: node.sources });
  }
  return outline;
}

/**
 * How much of a graph is done, from 0 to 1. Not every node is told of: what another one needs that has begun is done, or
 * never will be.
 * @param done ids of nodes that are done, cached ones too, whatever their states say
 */
export function measureProgress(
  outline: Outline,
  states: ReadonlyMap<string, NodeState>,
  done: readonly string[],
): number {
  const begun = [...states].flatMap(([id, { value, state }]) =>
    state === 'finished' || state === 'running' || value > 0 ? [id] : [],
  );
  const sources = [...done, ...begun].flatMap((id) => outline.get(id)?.sources ?? []);
  const behind = walkGraph(sources, { sourcesOf: (id) => outline.get(id)?.sources ?? [] });
  const known = new Set(done);
  let parts = 0;
  let partsDone = 0;
  for (const [id, node] of outline) {
    parts += node.parts;
    const isDone = known.has(id) || behind.has(id);
    partsDone += node.parts * (isDone ? 1 : doneOf(states.get(id)));
  }
  return parts === 0 ? 0 : Math.min(1, partsDone / parts);
}

function doneOf(node: NodeState | undefined): number {
  if (node === undefined) return 0;
  if (node.state === 'finished') return 1;
  return node.max > 0 ? Math.min(1, Math.max(0, node.value / node.max)) : 0;
}
