import {
  isJsonObject,
  isLink,
  type JsonObject,
  type JsonValue,
  type PromptGraph,
} from '@tiercel/contracts';

interface GraphLink {
  readonly input: string;
  readonly from: string;
  readonly slot: number;
}

export interface GraphNode {
  readonly nodeId: string;
  readonly classType: string;
  readonly inputs: JsonObject;
  readonly links: readonly GraphLink[];
}

/**
 * The nodes that the outputs need, sources before their consumers. Takes any JSON for a graph: what is
 * not a node is left out, and of a cycle the link that closes it counts for nothing.
 */
export function orderNodes(
  graph: PromptGraph,
  outputIds: readonly string[],
): ReadonlyMap<string, GraphNode> {
  const ordered = new Map<string, GraphNode>();
  const seen = new Set<string>();
  // A stack of its own: chains may be longer than the call stack is deep.
  const open: { node: GraphNode; next: number }[] = [];
  const enter = (nodeId: string): void => {
    if (seen.has(nodeId)) return;
    seen.add(nodeId);
    const node = readNode(graph, nodeId);
    if (node !== undefined) open.push({ node, next: 0 });
  };
  for (const outputId of outputIds) {
    enter(outputId);
    for (let frame = open.at(-1); frame !== undefined; frame = open.at(-1)) {
      const link = frame.node.links[frame.next];
      frame.next += 1;
      if (link !== undefined) {
        enter(link.from);
      } else {
        open.pop();
        ordered.set(frame.node.nodeId, frame.node);
      }
    }
  }
  return ordered;
}

function readNode(graph: PromptGraph, nodeId: string): GraphNode | undefined {
  // The type is validation's promise; this also reads graphs that nobody has validated.
  const nodes = graph as unknown as JsonValue;
  const raw = isJsonObject(nodes) ? getOwn(nodes, nodeId) : undefined;
  if (!isJsonObject(raw)) return undefined;
  const classType = getOwn(raw, 'class_type');
  if (typeof classType !== 'string') return undefined;
  const given = getOwn(raw, 'inputs');
  const inputs = isJsonObject(given) ? given : {};
  const links: GraphLink[] = [];
  for (const [input, value] of Object.entries(inputs)) {
    if (isLink(value)) links.push({ input, from: value[0], slot: value[1] });
  }
  return { nodeId, classType, inputs, links };
}

/** An own member: `constructor` is not one. */
export function getOwn<T>(members: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(members, name) ? members[name] : undefined;
}
