import { isLink, type InputSpec, type JsonValue, type PromptGraph } from '@tiercel/contracts';
import { coerceInput, CoercionError } from '@tiercel/graph';
import type { NodeDefinition } from '../node-definition.ts';
import { NodeError } from '../node-error.ts';
import type { DeclaredInputs, NodeRegistry } from '../registry.ts';
import { GraphError } from './execution-errors.ts';

export interface InputLink {
  readonly name: string;
  readonly from: string;
  readonly slot: number;
  /** Its source is run only when the node says that it needs it. */
  readonly lazy: boolean;
}

/** A node of the prompt, its inputs sorted into values and links. */
export interface GraphNode {
  readonly id: string;
  readonly classType: string;
  readonly definition: NodeDefinition;
  /** Widget values, coerced to their declared types; undeclared ones as they came. */
  readonly values: ReadonlyMap<string, JsonValue>;
  readonly links: readonly InputLink[];
  /** What the class declares, for these values. */
  readonly declared: DeclaredInputs;
  /** A value that could not be coerced: the node cannot run. */
  readonly problem: NodeError | undefined;
}

/**
 * Nodes by id, in the graph's order. Nodes without a definition are left out: `checkGraph` reports those that are
 * needed.
 * @param find the definition of a node; without it the registry's
 */
export function readGraphNodes(
  graph: PromptGraph,
  registry: NodeRegistry,
  find: (nodeId: string, classType: string) => NodeDefinition | undefined = (_, classType) =>
    registry.get(classType),
): Map<string, GraphNode> {
  const nodes = new Map<string, GraphNode>();
  for (const [id, { class_type, inputs }] of Object.entries(graph)) {
    const definition = find(id, class_type);
    if (!definition) continue;
    const declared = registry.inputsOf(class_type, inputs);
    const values = new Map<string, JsonValue>();
    const links: InputLink[] = [];
    let problem: NodeError | undefined;
    for (const [name, value] of Object.entries(inputs)) {
      if (isLink(value)) {
        const lazy = isLazy(definition, declared.get(name)?.spec);
        links.push({ name, from: value[0], slot: value[1], lazy });
        continue;
      }
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
    nodes.set(id, { id, classType: class_type, definition, values, links, declared, problem });
  }
  return nodes;
}

/** A node that cannot say what it needs needs all. */
function isLazy(definition: NodeDefinition, spec: InputSpec | undefined): boolean {
  return definition.needs !== undefined && spec?.[1]?.lazy === true;
}

/**
 * Checks everything that the outputs need.
 * @throws GraphError on a missing node, an unknown class, a slot that does not exist, or a cycle
 */
export function checkGraph(
  graph: PromptGraph,
  nodes: ReadonlyMap<string, GraphNode>,
  outputs: readonly string[],
): void {
  const open = new Set<string>();
  const done = new Set<string>();
  const stack = [...outputs];
  for (let id = stack.at(-1); id !== undefined; id = stack.at(-1)) {
    if (done.has(id) || open.has(id)) {
      stack.pop();
      open.delete(id);
      done.add(id);
      continue;
    }
    open.add(id);
    const node = requireNode(graph, nodes, id);
    for (const { name, from, slot } of node.links) {
      const source = requireNode(graph, nodes, from, `${node.classType} ${id}, input "${name}": `);
      if (!Number.isInteger(slot) || slot < 0 || slot >= source.definition.output.length) {
        throw new GraphError(
          `${node.classType} ${id}, input "${name}": ${source.classType} ${from} has no output ${slot}.`,
        );
      }
      // Everything open lies on the path from an output to this node.
      if (open.has(from))
        throw new GraphError(`Node ${from} needs its own output: the graph has a cycle.`);
      if (!done.has(from)) stack.push(from);
    }
  }
}

function requireNode(
  graph: PromptGraph,
  nodes: ReadonlyMap<string, GraphNode>,
  id: string,
  where = '',
): GraphNode {
  const node = nodes.get(id);
  if (node) return node;
  const raw = Object.hasOwn(graph, id) ? graph[id] : undefined;
  throw new GraphError(
    raw
      ? `${where}Node ${id} has the unknown class ${raw.class_type}.`
      : `${where}There is no node ${id}.`,
  );
}
