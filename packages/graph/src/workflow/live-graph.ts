import type { ObjectInfo } from '@tiercel/contracts';
import { createNode, type LinkSource, type LiveInput, type LiveNode } from './live-nodes.ts';
import {
  INPUT_FRAME,
  OUTPUT_FRAME,
  type SavedDefinition,
  type SavedGraph,
  type SavedLink,
} from './saved-workflow.ts';

/** A graph as the editor has it: that of the file, or the one inside a subgraph, which all its instances share. */
export interface LiveGraph {
  /** In the order of the file. */
  readonly nodes: readonly LiveNode[];
  readonly byId: ReadonlyMap<string, LiveNode>;
  /** Of a subgraph; the graph of the file has none. */
  readonly ports: SubgraphPorts | undefined;
}

export interface SubgraphPorts {
  /** Grows when an older file makes a widget inside one of the instances' own. */
  readonly inputs: LivePort[];
  /** What leads out, by slot. */
  readonly outputs: readonly (LinkSource | undefined)[];
}

export interface LivePort {
  readonly name: string;
  readonly type: string;
  /** The first input inside that it leads to; that this is one of a widget makes the port stand for the widget. */
  readonly target: PortTarget | undefined;
}

export interface PortTarget {
  readonly node: LiveNode;
  readonly input: LiveInput;
}

interface GraphSources {
  readonly objectInfo: ObjectInfo;
  readonly definitions: ReadonlyMap<string, SavedDefinition>;
}

export function createGraph(saved: SavedGraph | SavedDefinition, sources: GraphSources): LiveGraph {
  const nodes = saved.nodes.map((node) => createNode(node, sources));
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const targets = connect(saved.links, byId);
  const ports = 'inputs' in saved ? createPorts(saved, targets) : undefined;
  return { nodes, byId, ports };
}

/**
 * Leads each link to an input. Two links into one: the node's own memory decides, else the first. Links to
 * nodes and inputs that do not exist are dropped.
 * @returns the input that each link leads to, by the link's id
 */
function connect(
  links: readonly SavedLink[],
  byId: ReadonlyMap<string, LiveNode>,
): ReadonlyMap<string, PortTarget> {
  const targets = new Map<string, PortTarget>();
  const finders = new Map<LiveNode, InputFinder>();
  const remembered = new Set<LiveInput>();
  for (const link of links) {
    const node = byId.get(link.to);
    if (node === undefined) continue;
    const finder = finders.get(node) ?? new InputFinder(node);
    finders.set(node, finder);
    const found = finder.find(link);
    if (found === undefined) continue;
    const { input, isRemembered } = found;
    if (input.link !== undefined && (!isRemembered || remembered.has(input))) continue;
    if (isRemembered) remembered.add(input);
    input.link = { from: link.from, slot: link.fromSlot };
    targets.set(link.id, { node, input });
  }
  return targets;
}

/** Finds the input of a node that a link leads to. */
class InputFinder {
  readonly #node: LiveNode;
  /** Where the node's own list has a link. */
  readonly #slots = new Map<string, number>();
  readonly #byName = new Map<string, LiveInput>();

  constructor(node: LiveNode) {
    this.#node = node;
    for (const [slot, { link }] of node.saved.inputs.entries()) {
      if (link !== undefined && !this.#slots.has(link)) this.#slots.set(link, slot);
    }
    for (const input of node.inputs) {
      if (!this.#byName.has(input.name)) this.#byName.set(input.name, input);
    }
  }

  /** The name under which the node remembers the link; else the slot that the link names. */
  find(link: SavedLink): { readonly input: LiveInput; readonly isRemembered: boolean } | undefined {
    const { kind, inputs, saved } = this.#node;
    const slot = this.#slots.get(link.id);
    if (slot !== undefined) {
      // These have no names of their own: their inputs are those of the file.
      const isBySlot = kind === 'reroute' || kind === 'unknown';
      const input = isBySlot ? inputs[slot] : this.#byName.get(saved.inputs[slot]?.name ?? '');
      if (input !== undefined) return { input, isRemembered: true };
      // An input that the choice of a dynamic combo does not bring, or a widget that is gone.
      if (kind === 'class') return undefined;
    }
    const input = inputs[link.toSlot];
    return input && { input, isRemembered: false };
  }
}

function createPorts(
  saved: SavedDefinition,
  targets: ReadonlyMap<string, PortTarget>,
): SubgraphPorts {
  const incoming = new Map<number, SavedLink>();
  const outgoing = new Map<number, SavedLink[]>();
  for (const link of saved.links) {
    if (link.from === INPUT_FRAME && !incoming.has(link.fromSlot))
      incoming.set(link.fromSlot, link);
    if (link.to !== OUTPUT_FRAME) continue;
    const known = outgoing.get(link.toSlot);
    if (known === undefined) outgoing.set(link.toSlot, [link]);
    else known.push(link);
  }
  const inputs = saved.inputs.map(({ name, type, linkIds }, slot) => {
    const first = linkIds[0] ?? incoming.get(slot)?.id;
    return { name, type, target: first === undefined ? undefined : targets.get(first) };
  });
  const outputs = saved.outputs.map(({ linkIds }, slot) => {
    const leading = outgoing.get(slot) ?? [];
    const link = leading.find(({ id }) => id === linkIds[0]) ?? leading[0];
    return link && { from: link.from, slot: link.fromSlot };
  });
  return { inputs, outputs };
}
