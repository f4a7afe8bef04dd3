import { isLink, type PromptGraph } from '@tiercel/contracts';

/** Ids of the nodes that these outputs depend on, themselves included; the others never run. */
export function listNeeded(graph: PromptGraph, outputIds: readonly string[]): ReadonlySet<string> {
  const needed = new Set<string>();
  const stack = [...outputIds];
  for (let id = stack.pop(); id !== undefined; id = stack.pop()) {
    const node = Object.hasOwn(graph, id) ? graph[id] : undefined;
    if (node === undefined || needed.has(id)) continue;
    needed.add(id);
    for (const value of Object.values(node.inputs)) if (isLink(value)) stack.push(value[0]);
  }
  return needed;
}
