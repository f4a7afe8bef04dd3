import type { JsonValue } from '@tiercel/contracts';
import { isList } from '../python-text.ts';
import type { LiveGraph, LivePort, PortTarget, SubgraphPorts } from './live-graph.ts';
import { listTargets } from './apply-primitives.ts';
import { createInput, type LiveInput, type LiveNode } from './live-nodes.ts';
import { INPUT_FRAME, type SavedNode } from './saved-workflow.ts';

/** Nodes of preview pictures that older files list among the promoted widgets. */
const PREVIEW_PREFIX = '$$';

/**
 * Gives the instances of subgraphs in a graph their own values of promoted widgets: of inputs that lead to a
 * widget inside. Those of the file stand in the order of these inputs; files saved up to about 1.45 name the
 * widgets in the property `proxyWidgets` instead, in the order of the values.
 */
export class PromotedWidgets {
  readonly #graphOf: (instance: LiveNode) => LiveGraph | undefined;
  readonly #originalIds: ReadonlyMap<SavedNode, string>;
  /** How many inputs each subgraph has by its definition. */
  readonly #declared = new Map<SubgraphPorts, number>();
  readonly #byOriginalId = new Map<LiveGraph, ReadonlyMap<string, LiveNode>>();
  /** The inputs that the targets of PrimitiveNodes have become. */
  readonly #primitives = new Map<LiveNode, number>();

  constructor(
    graphOf: (instance: LiveNode) => LiveGraph | undefined,
    originalIds: ReadonlyMap<SavedNode, string>,
  ) {
    this.#graphOf = graphOf;
    this.#originalIds = originalIds;
  }

  /** The subgraphs of its instances have had their own turn. */
  fill(graph: LiveGraph): void {
    for (const node of graph.nodes) if (node.kind === 'instance') this.#fillInstance(node);
  }

  #fillInstance(node: LiveNode): void {
    const ports = this.#graphOf(node)?.ports;
    if (ports === undefined) return;
    const { values } = node.saved;
    const proxies = listProxies(node);
    this.#fillByPosition(node, ports, { values, named: proxies.length });
    for (const [index, [nodeId, name]] of proxies.entries()) {
      if (name.startsWith(PREVIEW_PREFIX)) continue;
      const slot = nodeId === '-1' ? findPort(ports, name) : this.#promote(node, nodeId, name);
      if (slot === undefined) continue;
      const value = values?.[index];
      if (value !== undefined) inputAt(node, ports, slot).hostValue = value;
    }
    this.#fillDefaults(node, ports);
  }

  /**
   * A value that `proxyWidgets` names for another widget is none for this one, though the editor takes it for
   * both (a sampler may come to have the name 4.5).
   */
  #fillByPosition(
    node: LiveNode,
    ports: SubgraphPorts,
    { values, named }: { values: readonly JsonValue[] | undefined; named: number },
  ): void {
    const declared = this.#declared.get(ports) ?? ports.inputs.length;
    this.#declared.set(ports, declared);
    let place = 0;
    for (const [slot, port] of ports.inputs.slice(0, declared).entries()) {
      if (!isPromoted(port)) continue;
      const value = place < named ? undefined : values?.[place];
      if (value !== undefined) inputAt(node, ports, slot).hostValue = value;
      place += 1;
    }
  }

  /** Without a value of its own an instance has that of the widget inside, and gives it to all that its input feeds. */
  #fillDefaults(node: LiveNode, ports: SubgraphPorts): void {
    for (const [slot, port] of ports.inputs.entries()) {
      if (!isPromoted(port)) continue;
      const input = inputAt(node, ports, slot);
      input.isPromoted = true;
      input.hostValue ??= innerValue(port.target);
    }
  }

  /**
   * Makes a widget inside an input of the subgraph, for all its instances, unless it is one.
   * @returns the slot of the input; undefined when there is no such widget
   */
  #promote(instance: LiveNode, nodeId: string, name: string): number | undefined {
    const graph = this.#graphOf(instance);
    const { ports } = graph ?? {};
    const node = graph && this.#findNode(graph, nodeId);
    if (graph === undefined || ports === undefined || node === undefined) return undefined;
    if (node.kind === 'primitive') return this.#promoteTargets(graph, ports, node);
    const input =
      node.kind === 'instance' ? this.#findNested(node, name) : findWidgetInput(node, name);
    return input && promoteInput(ports, { node, input }, name);
  }

  /** A widget that the inner instance has promoted; `12: name` names one inside it, which then becomes promoted. */
  #findNested(node: LiveNode, name: string): LiveInput | undefined {
    const ports = this.#graphOf(node)?.ports;
    if (ports === undefined) return undefined;
    const [, prefix, rest] = /^([^:\s]+): (.*)$/s.exec(name) ?? [];
    let slot = findPort(ports, name);
    if (slot === undefined && prefix !== undefined && rest !== undefined) {
      slot = this.#promote(node, prefix, rest) ?? findPort(ports, rest);
      this.#fillDefaults(node, ports);
    }
    return slot === undefined ? undefined : inputAt(node, ports, slot);
  }

  /** The value of a PrimitiveNode is that of its targets. */
  #promoteTargets(graph: LiveGraph, ports: SubgraphPorts, primitive: LiveNode): number | undefined {
    const known = this.#primitives.get(primitive);
    if (known !== undefined) return known;
    const targets = listTargets(graph).get(primitive) ?? [];
    const [first] = targets;
    if (first === undefined) return undefined;
    const slot = ports.inputs.length;
    ports.inputs.push({ name: first.input.name, type: first.input.type, target: first });
    const value = primitive.saved.values?.[0];
    for (const { input } of targets) {
      input.link = { from: INPUT_FRAME, slot };
      if (input.widget !== undefined && value !== undefined) input.widget.value = value;
    }
    this.#primitives.set(primitive, slot);
    return slot;
  }

  /** By the id in the file, which is the one that other nodes of the file name. */
  #findNode(graph: LiveGraph, nodeId: string): LiveNode | undefined {
    let byId = this.#byOriginalId.get(graph);
    if (byId === undefined) {
      byId = new Map(
        graph.nodes.map((node) => [this.#originalIds.get(node.saved) ?? node.id, node]),
      );
      this.#byOriginalId.set(graph, byId);
    }
    return byId.get(nodeId);
  }
}

function listProxies(node: LiveNode): readonly (readonly [nodeId: string, name: string])[] {
  const { proxyWidgets } = node.saved.properties;
  if (!isList(proxyWidgets)) return [];
  return proxyWidgets.map((entry) => {
    const [id, name] = isList(entry) ? entry : [];
    const nodeId = typeof id === 'number' || typeof id === 'string' ? String(id) : '';
    // What cannot be read is found nowhere, and keeps its place.
    return [nodeId, typeof name === 'string' ? name : ''];
  });
}

function isPromoted({ target }: LivePort): boolean {
  if (target === undefined) return false;
  return target.input.widget !== undefined || target.input.isPromoted;
}

function innerValue(target: PortTarget | undefined): JsonValue | undefined {
  if (target === undefined) return undefined;
  return target.input.widget === undefined ? target.input.hostValue : target.input.widget.value;
}

function findPort({ inputs }: SubgraphPorts, name: string): number | undefined {
  const slot = inputs.findIndex((port) => port.name === name && isPromoted(port));
  return slot === -1 ? undefined : slot;
}

/** The instance's own; it has one for each input of its subgraph, also for those that came later. */
function inputAt(node: LiveNode, ports: SubgraphPorts, slot: number): LiveInput {
  for (let next = node.inputs.length; next <= slot; next += 1) {
    const { name, type } = ports.inputs[next] ?? { name: '', type: '*' };
    node.inputs.push(createInput(name, type));
  }
  const input = node.inputs[slot];
  if (input === undefined) throw new RangeError(`a subgraph has no input ${slot}`);
  return input;
}

function findWidgetInput(node: LiveNode, name: string): LiveInput | undefined {
  const known = node.inputs.find((input) => input.widget?.name === name);
  if (known !== undefined) return known;
  // One without a socket gets it by becoming promoted.
  const widget = node.widgets.find((own) => own.name === name && own.isSent);
  if (widget === undefined) return undefined;
  const input = createInput(name, '*', widget);
  node.inputs.push(input);
  return input;
}

function promoteInput(ports: SubgraphPorts, target: PortTarget, name: string): number | undefined {
  const { input } = target;
  if (input.link !== undefined) {
    return input.link.from === INPUT_FRAME ? input.link.slot : undefined;
  }
  const slot = ports.inputs.length;
  ports.inputs.push({ name, type: input.type, target });
  input.link = { from: INPUT_FRAME, slot };
  return slot;
}
