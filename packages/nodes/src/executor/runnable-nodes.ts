import type { InputSpec, JsonValue } from '@tiercel/contracts';
import {
  coerceInput,
  CoercionError,
  type GraphNode,
  type GraphNodes,
  type NodeLink,
  walkGraph,
} from '@tiercel/graph';
import { type NodeDefinition, NodeError } from '../node-definition.ts';
import type { DeclaredInputs, NodeRegistry } from '../registry.ts';
import { GraphError } from './execution-errors.ts';

export interface RunnableLink extends NodeLink {
  /** Its source is run only when the node says that it needs it. */
  readonly lazy: boolean;
}

/** A node of the prompt with what it takes to run it. */
export interface RunnableNode {
  readonly id: string;
  readonly classType: string;
  readonly definition: NodeDefinition;
  /** Widget values, coerced to their declared types; undeclared ones as they came. */
  readonly values: ReadonlyMap<string, JsonValue>;
  readonly links: readonly RunnableLink[];
  /** What the class declares, for these values. */
  readonly declared: DeclaredInputs;
  /** A value that could not be coerced: the node cannot run. */
  readonly problem: NodeError | undefined;
}

/** By id, in the graph's order. */
export type RunnableNodes = ReadonlyMap<string, RunnableNode>;

/**
 * Gives the nodes of a graph their definitions. Nodes without one are left out: `checkGraph` reports those that are
 * needed.
 * @param find the definition of a node; without it the registry's
 */
export function equipNodes(
  graph: GraphNodes,
  registry: NodeRegistry,
  find: (nodeId: string, classType: string) => NodeDefinition | undefined = (_, classType) =>
    registry.get(classType),
): RunnableNodes {
  const nodes = new Map<string, RunnableNode>();
  for (const node of graph.values()) {
    const definition = find(node.nodeId, node.classType);
    if (definition) nodes.set(node.nodeId, equipNode(node, definition, registry));
  }
  return nodes;
}

function equipNode(
  node: GraphNode,
  definition: NodeDefinition,
  registry: NodeRegistry,
): RunnableNode {
  const { nodeId, classType, inputs } = node;
  const declared = registry.inputsOf(classType, inputs);
  const values = new Map<string, JsonValue>();
  let problem: NodeError | undefined;
  for (const [name, value] of node.values) {
    const spec = declared.get(name)?.spec;
    try {
      values.set(name, spec ? coerceInput(spec, value) : value);
    } catch (cause) {
      if (!(cause instanceof CoercionError)) throw cause;
      problem = new NodeError(`${name}: ${cause.message}`, {
        exceptionType: cause.exceptionType,
        cause,
      });
    }
  }
  const links = node.links.map((link) => ({
    ...link,
    lazy: isLazy(definition, declared.get(link.input)?.spec),
  }));
  return { id: nodeId, classType, definition, values, links, declared, problem };
}

/** A node that cannot say what it needs needs all. */
function isLazy(definition: NodeDefinition, spec: InputSpec | undefined): boolean {
  return definition.needs !== undefined && spec?.[1]?.lazy === true;
}

/**
 * Checks everything that the outputs need.
 * @param graph all nodes, also those that are left out of `nodes`
 * @throws GraphError on a missing node, an unknown class, a slot that does not exist, or a cycle
 */
export function checkGraph(
  graph: GraphNodes,
  nodes: RunnableNodes,
  outputs: readonly string[],
): void {
  /** On the path from an output to the node that is checked. */
  const open = new Set<string>();
  walkGraph(outputs.toReversed(), {
    sourcesOf(id) {
      open.add(id);
      const node = requireNode(graph, nodes, id);
      for (const { input, from, slot } of node.links) {
        const where = `${node.classType} ${id}, input "${input}": `;
        const source = requireNode(graph, nodes, from, where);
        if (!Number.isInteger(slot) || slot < 0 || slot >= source.definition.output.length) {
          throw new GraphError(`${where}${source.classType} ${from} has no output ${slot}.`);
        }
        if (open.has(from))
          throw new GraphError(`Node ${from} needs its own output: the graph has a cycle.`);
      }
      return node.links.map(({ from }) => from).reverse();
    },
    leave(id) {
      open.delete(id);
    },
  });
}

function requireNode(
  graph: GraphNodes,
  nodes: RunnableNodes,
  id: string,
  where = '',
): RunnableNode {
  const node = nodes.get(id);
  if (node) return node;
  const known = graph.get(id);
  throw new GraphError(
    known
      ? `${where}Node ${id} has the unknown class ${known.classType}.`
      : `${where}There is no node ${id}.`,
  );
}
