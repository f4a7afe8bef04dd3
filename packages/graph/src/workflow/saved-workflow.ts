import { isJsonObject, type JsonObject, type JsonValue } from '@tiercel/contracts';
import { getOwn } from '../graph-nodes.ts';
import { isList } from '../python-text.ts';

/**
 * What the editor saves, read as it was written: nodes, links, definitions of subgraphs. Takes any JSON. What
 * only draws (positions, groups, the bends of lines) is not read.
 */

/** A node's end of a link that is the frame of a subgraph: its inputs, its outputs. */
export const INPUT_FRAME = '-10';
export const OUTPUT_FRAME = '-20';

export interface SavedLink {
  readonly id: string;
  readonly from: string;
  readonly fromSlot: number;
  readonly to: string;
  readonly toSlot: number;
}

export interface SavedInput {
  readonly name: string;
  readonly type: string;
  /** The id of a link, as the node remembers it. */
  readonly link: string | undefined;
  /** Stands for a widget. */
  readonly isWidget: boolean;
}

export interface SavedNode {
  readonly id: string;
  readonly type: string;
  readonly title: string | undefined;
  readonly mode: number;
  readonly inputs: readonly SavedInput[];
  readonly outputTypes: readonly string[];
  /** `widgets_values`; undefined when there are none that can be read by position. */
  readonly values: readonly JsonValue[] | undefined;
  readonly properties: JsonObject;
}

export interface SavedGraph {
  readonly nodes: readonly SavedNode[];
  readonly links: readonly SavedLink[];
}

/** An input or output of a subgraph. */
export interface SavedPort {
  readonly name: string;
  readonly type: string;
  readonly linkIds: readonly string[];
}

export interface SavedDefinition extends SavedGraph {
  readonly id: string;
  readonly inputs: readonly SavedPort[];
  readonly outputs: readonly SavedPort[];
}

export interface SavedWorkflow extends SavedGraph {
  /** In the order of the file. */
  readonly definitions: readonly SavedDefinition[];
  /** Group nodes of before subgraphs: name -> data. */
  readonly groups: JsonObject;
  /** The highest node id that was ever given. */
  readonly lastNodeId: number;
}

/** Whether it is what the editor saves, in place of what it queues: there a node is not called "nodes". */
export function isSavedWorkflow(value: JsonValue | undefined): value is JsonObject {
  return isJsonObject(value) && Object.hasOwn(value, 'nodes') && Array.isArray(value.nodes);
}

export function readWorkflow(file: JsonObject): SavedWorkflow {
  const extra = member(file, 'extra');
  const groups = member(extra, 'groupNodes');
  const state = member(file, 'state');
  const last = getOwn(file, 'last_node_id') ?? getOwn(state, 'lastNodeId');
  return {
    ...readGraph(file),
    definitions: readDefinitions(file),
    groups,
    lastNodeId: readCount(last),
  };
}

/** Those of the file, each before those that stand inside it. */
function readDefinitions(file: JsonObject): SavedDefinition[] {
  const found: SavedDefinition[] = [];
  for (const written of list(getOwn(member(file, 'definitions'), 'subgraphs'))) {
    if (!isJsonObject(written)) continue;
    found.push({
      ...readGraph(written),
      id: readId(getOwn(written, 'id')) ?? '',
      inputs: list(getOwn(written, 'inputs')).map(readPort),
      outputs: list(getOwn(written, 'outputs')).map(readPort),
    });
    found.push(...readDefinitions(written));
  }
  return found;
}

function readGraph(written: JsonObject): SavedGraph {
  return {
    nodes: list(getOwn(written, 'nodes'))
      .map(readNode)
      .filter((node) => node !== undefined),
    links: readLinks(getOwn(written, 'links')),
  };
}

/** Version 0.4 has arrays, version 1 and subgraphs objects. The form of each tells, whatever the version says. */
function readLinks(written: JsonValue | undefined): SavedLink[] {
  const links: SavedLink[] = [];
  for (const link of list(written)) {
    const parts = isList(link) ? link : isJsonObject(link) ? linkParts(link) : undefined;
    if (parts === undefined) continue;
    const [id, from, to] = [readId(parts[0]), readId(parts[1]), readId(parts[3])];
    if (id === undefined || from === undefined || to === undefined) continue;
    links.push({ id, from, fromSlot: readCount(parts[2]), to, toSlot: readCount(parts[4]) });
  }
  return links;
}

function linkParts(link: JsonObject): readonly (JsonValue | undefined)[] {
  return [link.id, link.origin_id, link.origin_slot, link.target_id, link.target_slot];
}

/** @returns undefined for what is no node */
export function readNode(written: JsonValue): SavedNode | undefined {
  if (!isJsonObject(written)) return undefined;
  const id = readId(getOwn(written, 'id'));
  const type = getOwn(written, 'type');
  if (id === undefined || typeof type !== 'string') return undefined;
  const title = getOwn(written, 'title');
  return {
    id,
    type,
    title: typeof title === 'string' ? title : undefined,
    mode: readCount(getOwn(written, 'mode')),
    inputs: list(getOwn(written, 'inputs')).map(readInput),
    outputTypes: list(getOwn(written, 'outputs')).map((output) =>
      readType(isJsonObject(output) ? getOwn(output, 'type') : undefined),
    ),
    values: readValues(getOwn(written, 'widgets_values')),
    properties: member(written, 'properties'),
  };
}

function readInput(written: JsonValue): SavedInput {
  const input = isJsonObject(written) ? written : {};
  const name = getOwn(input, 'name');
  return {
    name: typeof name === 'string' ? name : '',
    type: readType(getOwn(input, 'type')),
    link: readId(getOwn(input, 'link')),
    isWidget: isJsonObject(getOwn(input, 'widget')),
  };
}

function readPort(written: JsonValue): SavedPort {
  const port = isJsonObject(written) ? written : {};
  const name = getOwn(port, 'name');
  return {
    name: typeof name === 'string' ? name : '',
    type: readType(getOwn(port, 'type')),
    linkIds: list(getOwn(port, 'linkIds'))
      .map(readId)
      .filter((id) => id !== undefined),
  };
}

/** An object with a length counts as an array, as for the editor; another object is of a custom pack's own code. */
function readValues(written: JsonValue | undefined): readonly JsonValue[] | undefined {
  if (isList(written)) return written;
  if (!isJsonObject(written)) return undefined;
  const length = getOwn(written, 'length');
  if (typeof length !== 'number') return undefined;
  const count = Math.min(Math.max(Math.floor(length), 0), Object.keys(written).length);
  return Array.from({ length: count }, (_, index) => getOwn(written, String(index)) ?? null);
}

/** Numbers of events and choices of a combo in place of a name are the editor's oldest forms. */
function readType(type: JsonValue | undefined): string {
  if (typeof type === 'string') return type;
  return isList(type) ? 'COMBO' : '*';
}

/** Ids are numbers or words; all are told apart as text. */
function readId(id: JsonValue | undefined): string | undefined {
  if (typeof id === 'string') return id;
  return typeof id === 'number' || typeof id === 'bigint' ? String(id) : undefined;
}

/** Ids above it are none that an editor gave; and numbers that far up must stay apart when they are counted on. */
const MAX_COUNT = 2 ** 40;

function readCount(value: JsonValue | undefined): number {
  const number = typeof value === 'number' ? Math.trunc(value) : 0;
  return Math.abs(number) <= MAX_COUNT ? number : 0;
}

function list(value: JsonValue | undefined): readonly JsonValue[] {
  return isList(value) ? value : [];
}

/** The object under this name; empty when there is none. */
function member(object: JsonObject, name: string): JsonObject {
  const value = getOwn(object, name);
  return isJsonObject(value) ? value : {};
}
