import { isJsonObject, type JsonObject, type JsonValue, type ObjectInfo } from '@tiercel/contracts';
import { getOwn } from '../graph-nodes.ts';
import { isList } from '../python-text.ts';
import { createNode, type LiveNode, type Widget } from './live-nodes.ts';
import { IdSource, type RenumberedWorkflow } from './renumber-nodes.ts';
import {
  INPUT_FRAME,
  OUTPUT_FRAME,
  readNode,
  type SavedDefinition,
  type SavedGraph,
  type SavedInput,
  type SavedLink,
  type SavedNode,
  type SavedPort,
} from './saved-workflow.ts';

/**
 * Group nodes of before subgraphs: a node of the type `workflow>NAME` (older: `workflow/NAME`) stands for
 * nodes that `extra.groupNodes` holds. The editor makes a subgraph of each when it loads the file: the nodes
 * inside get new ids, then the instance does, and the mode of the group node is lost.
 */
const GROUP_TYPE = /^workflow[>/](.+)$/s;

/** A group inside itself would have no end. */
const MAX_DEPTH = 10;

/** Replaces all group nodes that the file has data for. */
export function expandGroups(
  workflow: RenumberedWorkflow,
  objectInfo: ObjectInfo,
): RenumberedWorkflow {
  if (Object.keys(workflow.groups).length === 0) return workflow;
  const ids = new IdSource(workflow.lastNodeId);
  for (const graph of [workflow, ...workflow.definitions]) {
    for (const { id } of graph.nodes) ids.take(id);
  }
  const expander = new GroupExpander(workflow.groups, objectInfo, ids);
  const root = expander.expand(workflow, 0);
  const definitions = workflow.definitions.map((definition) => ({
    ...definition,
    ...expander.expand(definition, 0),
  }));
  return { ...workflow, ...root, definitions: [...definitions, ...expander.definitions] };
}

class GroupExpander {
  readonly definitions: SavedDefinition[] = [];
  readonly #groups: JsonObject;
  readonly #objectInfo: ObjectInfo;
  readonly #ids: IdSource;

  constructor(groups: JsonObject, objectInfo: ObjectInfo, ids: IdSource) {
    this.#groups = groups;
    this.#objectInfo = objectInfo;
    this.#ids = ids;
  }

  expand(graph: SavedGraph, depth: number): SavedGraph {
    const newIds = new Map<string, string>();
    const nodes = graph.nodes.map((node) => {
      const data = depth < MAX_DEPTH ? this.#findGroup(node.type) : undefined;
      if (data === undefined) return node;
      const instance = this.#createInstance(node, data, depth);
      newIds.set(node.id, instance.id);
      return instance;
    });
    if (newIds.size === 0) return graph;
    const moved = (id: string) => newIds.get(id) ?? id;
    const links = graph.links.map((link) => ({
      ...link,
      from: moved(link.from),
      to: moved(link.to),
    }));
    return { nodes, links };
  }

  #findGroup(type: string): JsonObject | undefined {
    const name = GROUP_TYPE.exec(type)?.[1];
    const data = name === undefined ? undefined : getOwn(this.#groups, name);
    return isJsonObject(data) ? data : undefined;
  }

  #createInstance(node: SavedNode, data: JsonObject, depth: number): SavedNode {
    const group = new GroupReader(data, this.#objectInfo, this.#ids);
    group.takeValues(node.values ?? []);
    const id = this.#ids.next();
    const type = `group node ${id}`;
    const definition = { ...group.createDefinition(), id: type };
    this.definitions.push({ ...definition, ...this.expand(definition, depth + 1) });
    return { ...node, id, type, mode: 0, values: undefined };
  }
}

/** What the group shows of one inner node; undefined names show what they are called inside. */
interface Shown {
  readonly input: (name: string) => {
    readonly isShown: boolean;
    readonly name: string | undefined;
  };
  readonly isOutputShown: (slot: number) => boolean;
}

interface Member {
  readonly node: LiveNode;
  readonly shown: Shown;
  /** Places of its own values that the group's have taken. */
  values: readonly JsonValue[] | undefined;
}

/** One group node's own copy of the nodes inside. */
class GroupReader {
  readonly #members: readonly Member[];
  readonly #links: readonly SavedLink[];
  readonly #external: ReadonlySet<string>;

  constructor(data: JsonObject, objectInfo: ObjectInfo, ids: IdSource) {
    const config = getOwn(data, 'config');
    const nodes = listOf(getOwn(data, 'nodes'));
    this.#members = nodes.flatMap((written, index) => {
      const saved = isJsonObject(written) ? readNode({ ...written, id: index }) : undefined;
      if (saved === undefined) return [];
      // What it remembers are links of another graph.
      const inputs = saved.inputs.map((input) => ({ ...input, link: undefined }));
      const fresh = { ...saved, id: ids.next(), inputs };
      const node = createNode(fresh, { objectInfo, definitions: new Map() });
      const entry = isJsonObject(config) ? getOwn(config, String(index)) : undefined;
      return [{ node, shown: readShown(isJsonObject(entry) ? entry : {}), values: fresh.values }];
    });
    this.#links = listOf(getOwn(data, 'links')).flatMap((link, index) =>
      this.#readLink(link, index),
    );
    this.#external = new Set(
      listOf(getOwn(data, 'external'))
        .filter(isList)
        .map(([index, slot]) => `${text(index)} ${text(slot)}`),
    );
  }

  /** `[from, slot, to, slot]`, nodes by their place in the list. */
  #readLink(link: JsonValue, index: number): readonly SavedLink[] {
    if (!isList(link)) return [];
    const [from, fromSlot, to, toSlot] = link.map(Number);
    const source = from === undefined ? undefined : this.#members[from];
    const target = to === undefined ? undefined : this.#members[to];
    if (source === undefined || target === undefined) return [];
    const id = `inner ${index}`;
    return [
      {
        id,
        from: source.node.id,
        fromSlot: fromSlot ?? 0,
        to: target.node.id,
        toSlot: toSlot ?? 0,
      },
    ];
  }

  /** The group's values, one after another for each widget that it shows. */
  takeValues(values: readonly JsonValue[]): void {
    let next = 0;
    const take = (own: JsonValue | undefined): JsonValue =>
      (next < values.length ? values[next++] : own) ?? null;
    for (const member of this.#members) {
      const { node, shown } = member;
      if (node.kind === 'primitive') {
        member.values = (node.saved.values ?? []).map(take);
        continue;
      }
      if (node.kind !== 'class') continue;
      const linked = new Set(this.#linkedInputs(node));
      let isTaken = false;
      member.values = node.widgets.filter(hasPlace).map((widget) => {
        // A control stands and falls with the widget before it.
        if (widget.spec !== undefined) {
          isTaken = !linked.has(widget.name) && shown.input(widget.name).isShown;
        }
        return isTaken ? take(widget.value) : (widget.value ?? null);
      });
    }
  }

  #linkedInputs(node: LiveNode): readonly string[] {
    return this.#links
      .filter(({ to }) => to === node.id)
      .map(({ toSlot }) => inputAt(node, toSlot))
      .filter((name) => name !== undefined);
  }

  createDefinition(): Omit<SavedDefinition, 'id'> {
    const links = [...this.#links];
    const inputs: SavedPort[] = [];
    const outputs: SavedPort[] = [];
    const names = new Set<string>();
    for (const member of this.#members) {
      for (const { name, type, slot } of this.#openInputs(member)) {
        const id = `input ${inputs.length}`;
        const to = member.node.id;
        links.push({ id, from: INPUT_FRAME, fromSlot: inputs.length, to, toSlot: slot });
        inputs.push({ name: nameInput(member, name, names), type, linkIds: [id] });
      }
    }
    for (const [index, member] of this.#members.entries()) {
      for (const [slot, type] of member.node.outputTypes.entries()) {
        if (!this.#isOutputShown(member, index, slot)) continue;
        const id = `output ${outputs.length}`;
        const from = member.node.id;
        links.push({ id, from, fromSlot: slot, to: OUTPUT_FRAME, toSlot: outputs.length });
        outputs.push({ name: '', type, linkIds: [id] });
      }
    }
    const nodes = this.#members.map(({ node, values }) => ({
      ...node.saved,
      inputs: node.kind === 'class' ? rememberLinks(node, links) : node.saved.inputs,
      values,
    }));
    return { nodes, links, inputs, outputs };
  }

  /** Sockets, and widgets that had been turned into inputs, that no link inside leads to. */
  #openInputs({ node, shown }: Member) {
    const linked = new Set(this.#linkedInputs(node));
    const converted = new Set(
      node.saved.inputs.filter(({ isWidget }) => isWidget).map(({ name }) => name),
    );
    return node.inputs
      .map(({ name, type, widget }, slot) => ({ name, type, widget, slot }))
      .filter(
        ({ name, widget }) =>
          !linked.has(name) &&
          (widget === undefined || converted.has(name)) &&
          shown.input(name).isShown,
      );
  }

  /** What is used inside is shown only when it leads out too. */
  #isOutputShown({ node, shown }: Member, index: number, slot: number): boolean {
    if (!shown.isOutputShown(slot)) return false;
    const isUsedInside = this.#links.some(
      ({ from, fromSlot }) => from === node.id && fromSlot === slot,
    );
    return !isUsedInside || this.#external.has(`${index} ${slot}`);
  }
}

/** The node's inputs with the links that lead to them: by name, which outlives another order of the slots. */
function rememberLinks(node: LiveNode, links: readonly SavedLink[]): readonly SavedInput[] {
  const remembered = links
    .filter(({ to }) => to === node.id)
    .map(({ id, from, toSlot }): SavedInput => {
      const name = from === INPUT_FRAME ? node.inputs[toSlot]?.name : inputAt(node, toSlot);
      const isWidget = node.widgets.some((widget) => widget.name === name);
      return { name: name ?? '', type: '*', link: id, isWidget };
    });
  return [...remembered, ...node.saved.inputs];
}

/** Names that are taken get that of the node before them. */
function nameInput({ node, shown }: Member, name: string, names: Set<string>): string {
  const given = shown.input(name).name ?? name;
  const full = names.has(given) ? `${node.saved.title ?? node.saved.type} ${given}` : given;
  let unique = full;
  for (let count = 1; names.has(unique); count += 1) unique = `${full} ${count}`;
  names.add(unique);
  return unique;
}

/** The slot as the group's data count it: in the node's own list of inputs, if it has one. */
function inputAt(node: LiveNode, slot: number): string | undefined {
  return node.saved.inputs[slot]?.name ?? node.inputs[slot]?.name;
}

function hasPlace({ spec }: Widget): boolean {
  return spec?.[0] !== 'IMAGECOMPARE';
}

function readShown(config: JsonObject): Shown {
  const entry = (section: string, key: string): JsonObject => {
    const members = getOwn(config, section);
    const value = isJsonObject(members) ? getOwn(members, key) : undefined;
    return isJsonObject(value) ? value : {};
  };
  return {
    input: (key) => {
      const { visible, name } = entry('input', key);
      return {
        isShown: visible !== false,
        name: typeof name === 'string' && name !== '' ? name : undefined,
      };
    },
    isOutputShown: (slot) => entry('output', String(slot)).visible !== false,
  };
}

function listOf(value: JsonValue | undefined): readonly JsonValue[] {
  return isList(value) ? value : [];
}

function text(value: JsonValue | undefined): string {
  return typeof value === 'number' || typeof value === 'string' ? String(value) : '';
}
