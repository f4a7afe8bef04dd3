/** What a walk asks and tells. `T` is the id of a node, or the node itself. */
export interface GraphVisitor<T> {
  /**
   * What a node needs, in the order to go there. Asked once, when the walk comes to the node; read on whenever it
   * comes back from a source.
   * @param path from a root to the node
   */
  sourcesOf(node: T, path: readonly T[]): Iterable<T>;
  /** All that the node needs has been left. */
  leave?(node: T): void;
  /** The last node of the path needs the one at this index of the path. The walk does not go there again. */
  closeCycle?(path: readonly T[], index: number): void;
}

/**
 * The one walk of graphs: depth-first from the roots against the links, once to each node. With a stack of its own:
 * chains may be longer than the call stack is deep.
 * @returns the nodes it came to, in the order it did
 */
export function walkGraph<T>(roots: Iterable<T>, visitor: GraphVisitor<T>): ReadonlySet<T> {
  const seen = new Set<T>();
  const path: T[] = [];
  /** What is left of the sources of each node on the path. */
  const left: Iterator<T>[] = [];
  /** Of the nodes on the path: their indices there. Kept for who wants to know. */
  const indices = visitor.closeCycle === undefined ? undefined : new Map<T, number>();
  const enter = (node: T): void => {
    seen.add(node);
    indices?.set(node, path.length);
    path.push(node);
    left.push(visitor.sourcesOf(node, path)[Symbol.iterator]());
  };
  const leave = (): void => {
    left.pop();
    const node = path.pop() as T; // the path is as long as `left`
    indices?.delete(node);
    visitor.leave?.(node);
  };
  for (const root of roots) {
    if (!seen.has(root)) enter(root);
    for (let sources = left.at(-1); sources !== undefined; sources = left.at(-1)) {
      const next = sources.next();
      if (next.done === true) {
        leave();
      } else if (!seen.has(next.value)) {
        enter(next.value);
      } else {
        const index = indices?.get(next.value);
        if (index !== undefined) visitor.closeCycle?.(path, index);
      }
    }
  }
  return seen;
}

/** What the roots need, sources before their consumers; of a cycle the link that closes it counts for nothing. */
export function sortBySources<T>(
  roots: Iterable<T>,
  sourcesOf: GraphVisitor<T>['sourcesOf'],
): readonly T[] {
  const sorted: T[] = [];
  walkGraph(roots, {
    sourcesOf,
    leave(node) {
      sorted.push(node);
    },
  });
  return sorted;
}
