import { walkGraph } from '@tiercel/graph';
import type { RunnableNodes } from './runnable-nodes.ts';

/** A node waiting to run, with its place in the schedule. */
interface Waiting {
  readonly id: string;
  /** Order of discovery: depth-first from the outputs, last input first, as ComfyUI's. */
  readonly order: number;
  /** Distinct nodes that must run before. */
  readonly sources: string[];
  readonly dependents: string[];
  blockedBy: number;
}

/** What is still to be run, handed out node by node. */
export interface Schedule {
  /** The next node that may run; undefined when all have run. */
  next(): string | undefined;
  /** Marks a node as run, which frees those that wait for it. */
  finish(id: string): void;
  /**
   * Puts a node back that turns out to need more (links that are lazy): it is handed out again when these
   * have run. False when all of them have.
   */
  defer(id: string, sources: readonly string[]): boolean;
}

/** Distance to an output node at which ComfyUI's preference ends (VAELoader -> VAEDecode -> preview). */
const FAR = 3;

/**
 * Plans the run of everything the outputs need, in the order of ComfyUI 0.3.64 (wire 5.2 to 5.5): of the
 * nodes that are ready, first an output node, then one that feeds an output node, then one that feeds a feeder,
 * else the first discovered. Cached nodes are not run, and nothing is run for their sake; a cached output is
 * still handed out, so that its result is announced.
 */
export function createSchedule(
  nodes: RunnableNodes,
  outputs: readonly string[],
  isCached: (id: string) => boolean,
): Schedule {
  const waiting = new Map<string, Waiting>();
  discover(waiting, nodes, outputs, isCached);
  const byOrder = [...waiting.values()];
  const ranks = rankByDistance(byOrder, waiting, nodes);
  const ready = Array.from({ length: FAR + 1 }, () => createMinHeap());
  const release = (node: Waiting) => ready[ranks.get(node.id) ?? FAR]?.push(node.order);
  for (const node of byOrder) if (node.blockedBy === 0) release(node);
  const finished = new Set<string>();

  return {
    next() {
      for (const heap of ready) {
        const order = heap.pop();
        if (order !== undefined) return byOrder[order]?.id;
      }
      return undefined;
    },
    defer(id, sources) {
      const node = waiting.get(id);
      const missing = new Set(sources.filter((from) => !isCached(from) && !finished.has(from)));
      if (node === undefined || missing.size === 0) return false;
      const found = discover(waiting, nodes, [...missing], isCached, finished);
      byOrder.push(...found);
      for (const from of missing) waiting.get(from)?.dependents.push(id);
      node.blockedBy = missing.size;
      for (const added of found) if (added.blockedBy === 0) release(added);
      return true;
    },
    finish(id) {
      finished.add(id);
      for (const dependent of waiting.get(id)?.dependents ?? []) {
        const node = waiting.get(dependent);
        if (!node) continue;
        node.blockedBy -= 1;
        if (node.blockedBy === 0) release(node);
      }
    },
  };
}

/** Adds the roots and what they need to those that wait; returns what was not among them. */
function discover(
  waiting: Map<string, Waiting>,
  nodes: RunnableNodes,
  roots: readonly string[],
  isCached: (id: string) => boolean,
  finished: ReadonlySet<string> = new Set(),
): readonly Waiting[] {
  const found: Waiting[] = [];
  const isNew = (id: string) => !waiting.has(id);
  const isRun = (id: string) => isCached(id) || finished.has(id);
  walkGraph(roots.filter(isNew), {
    sourcesOf(id) {
      const links = isCached(id) ? [] : (nodes.get(id)?.links ?? []).filter(({ lazy }) => !lazy);
      const sources = [...new Set(links.map(({ from }) => from).filter((from) => !isRun(from)))];
      const node = { id, order: waiting.size, sources, dependents: [], blockedBy: sources.length };
      waiting.set(id, node);
      found.push(node);
      return sources.toReversed().filter(isNew);
    },
  });
  for (const node of found) {
    for (const source of node.sources) waiting.get(source)?.dependents.push(node.id);
  }
  return found;
}

/** 0 for output nodes, 1 for what feeds one, 2 for what feeds a feeder; the rest is not in the map. */
function rankByDistance(
  byOrder: readonly Waiting[],
  waiting: ReadonlyMap<string, Waiting>,
  nodes: RunnableNodes,
): Map<string, number> {
  const ranks = new Map<string, number>();
  let ring = byOrder.filter((node) => nodes.get(node.id)?.definition.output_node);
  for (let rank = 0; rank < FAR; rank += 1) {
    const fresh = ring.filter((node) => !ranks.has(node.id));
    for (const node of fresh) ranks.set(node.id, rank);
    const feeders = new Set(fresh.flatMap((node) => node.sources));
    ring = [...feeders].map((id) => waiting.get(id)).filter((node) => node !== undefined);
  }
  return ranks;
}

function createMinHeap(): { push(value: number): void; pop(): number | undefined } {
  const heap: number[] = [];
  const at = (index: number) => heap[index] ?? Infinity;
  const swap = (a: number, b: number) => {
    [heap[a], heap[b]] = [at(b), at(a)];
  };
  return {
    push(value) {
      heap.push(value);
      let index = heap.length - 1;
      while (index > 0) {
        const parent = (index - 1) >> 1;
        if (at(parent) <= at(index)) return;
        swap(parent, index);
        index = parent;
      }
    },
    pop() {
      const [top] = heap;
      const last = heap.pop();
      if (last === undefined || heap.length === 0) return top;
      heap[0] = last;
      let index = 0;
      for (;;) {
        const left = 2 * index + 1;
        const smaller = at(left + 1) < at(left) ? left + 1 : left;
        if (at(smaller) >= at(index)) return top;
        swap(smaller, index);
        index = smaller;
      }
    },
  };
}
