import {
  isJsonObject,
  isLink,
  type JsonObject,
  type JsonValue,
  type PromptGraph,
} from '@tiercel/contracts';

/** An input that takes what another node gives. */
export interface NodeLink {
  readonly input: string;
  readonly from: string;
  readonly slot: number;
}

/** A node of a prompt as it was written. */
export class GraphNode {
  readonly nodeId: string;
  readonly classType: string;
  readonly inputs: JsonObject;
  /** What its user calls it (`_meta.title`). */
  readonly title: JsonValue | undefined;
  #links: readonly NodeLink[] | undefined;
  #sources: readonly string[] | undefined;
  #values: readonly [input: string, value: JsonValue][] | undefined;

  constructor(options: Pick<GraphNode, 'nodeId' | 'classType' | 'inputs' | 'title'>) {
    this.nodeId = options.nodeId;
    this.classType = options.classType;
    this.inputs = options.inputs;
    this.title = options.title;
  }

  /** In the order of the inputs. */
  get links(): readonly NodeLink[] {
    return (this.#links ??= listLinks(this.inputs));
  }

  /** The node at the other end of each link, in the same order. */
  get sources(): readonly string[] {
    return (this.#sources ??= this.links.map(({ from }) => from));
  }

  /** The inputs that are no links, in their order. */
  get values(): readonly [input: string, value: JsonValue][] {
    return (this.#values ??= Object.entries(this.inputs).filter(([, value]) => !isLink(value)));
  }
}

/** Nodes by id, in the order of the prompt's keys. */
export type GraphNodes = ReadonlyMap<string, GraphNode>;

/** What stands where a node should; `classType` as far as it has one. */
export interface BrokenNode {
  readonly classType: JsonValue | undefined;
  readonly title: JsonValue | undefined;
}

/**
 * The one reader of nodes. Takes any JSON; what is no object, has no text for a class, or no object of inputs,
 * is broken.
 */
export function readNode(nodeId: string, written: JsonValue | undefined): GraphNode | BrokenNode {
  if (!isJsonObject(written)) return { classType: undefined, title: undefined };
  const classType = getOwn(written, 'class_type');
  const inputs = getOwn(written, 'inputs');
  const meta = getOwn(written, '_meta');
  const title = isJsonObject(meta) ? getOwn(meta, 'title') : undefined;
  if (typeof classType !== 'string' || !isJsonObject(inputs)) return { classType, title };
  return new GraphNode({ nodeId, classType, inputs, title });
}

/** The nodes of a prompt, also of one that nobody has validated: what is broken is left out. */
export function readNodes(prompt: PromptGraph | JsonValue): GraphNodes {
  const written = prompt as JsonValue; // a graph is JSON, but an interface is no JsonObject to TypeScript
  const nodes = new Map<string, GraphNode>();
  if (!isJsonObject(written)) return nodes;
  for (const [nodeId, value] of Object.entries(written)) {
    const node = readNode(nodeId, value);
    if (node instanceof GraphNode) nodes.set(nodeId, node);
  }
  return nodes;
}

/** The classes that a prompt names, also at nodes that are broken otherwise. */
export function listClasses(prompt: JsonValue): string[] {
  if (!isJsonObject(prompt)) return [];
  return Object.entries(prompt).flatMap(([nodeId, value]) => {
    const { classType } = readNode(nodeId, value);
    return typeof classType === 'string' ? [classType] : [];
  });
}

function listLinks(inputs: JsonObject): readonly NodeLink[] {
  const links: NodeLink[] = [];
  for (const [input, value] of Object.entries(inputs)) {
    if (isLink(value)) links.push({ input, from: value[0], slot: value[1] });
  }
  return links;
}

/** An own member: `constructor` is not one. */
export function getOwn<T>(members: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(members, name) ? members[name] : undefined;
}
