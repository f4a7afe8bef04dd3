import type { InputSpec, JsonValue, NodeInfo, ObjectInfo } from '@tiercel/contracts';
import { readWidgets } from './read-widgets.ts';
import type { SavedDefinition, SavedNode } from './saved-workflow.ts';
import { outputType } from './slot-types.ts';

/**
 * Nodes as the editor has them after it has loaded the file: with the inputs of their classes, the values of
 * their widgets, and the links that lead to each input. The steps of the loading change them in place.
 */

/** Where a link comes from: a node of the same graph, or the frame of the subgraph (`INPUT_FRAME`). */
export interface LinkSource {
  readonly from: string;
  readonly slot: number;
}

/** A value that a node holds itself. */
export interface Widget {
  readonly name: string;
  /** Undefined for one that the editor adds: a control, a button, the options of a CustomCombo. */
  readonly spec: InputSpec | undefined;
  /** Whether the value goes into the prompt. */
  readonly isSent: boolean;
  /** Undefined when there is none, not even a default. */
  value: JsonValue | undefined;
}

export interface LiveInput {
  readonly name: string;
  readonly type: string;
  /** The widget it can replace; undefined for a socket, and for an input of a subgraph. */
  readonly widget: Widget | undefined;
  link: LinkSource | undefined;
  /** Whether it is one of an instance of a subgraph that stands for a widget inside. */
  isPromoted: boolean;
  /** The value that this instance has for the widget it stands for. */
  hostValue: JsonValue | undefined;
}

type NodeKind = 'class' | 'instance' | 'reroute' | 'primitive' | 'note' | 'unknown';

export interface LiveNode {
  readonly saved: SavedNode;
  readonly id: string;
  readonly kind: NodeKind;
  /** Of a class of the catalogue. */
  readonly info: NodeInfo | undefined;
  readonly inputs: LiveInput[];
  readonly widgets: readonly Widget[];
  readonly outputTypes: readonly string[];
}

/** 2 and 4 of LiteGraph's modes; all others run. */
export function isMuted(node: LiveNode): boolean {
  return node.saved.mode === 2;
}

export function isBypassed(node: LiveNode): boolean {
  return node.saved.mode === 4;
}

/** Nodes that are the editor's own and never reach the server. */
const EDITOR_NODES: ReadonlyMap<string, NodeKind> = new Map([
  ['Note', 'note'],
  ['MarkdownNote', 'note'],
  ['Reroute', 'reroute'],
  ['PrimitiveNode', 'primitive'],
]);

interface NodeSources {
  readonly objectInfo: ObjectInfo;
  readonly definitions: ReadonlyMap<string, SavedDefinition>;
}

export function createNode(saved: SavedNode, { objectInfo, definitions }: NodeSources): LiveNode {
  const { id, type } = saved;
  const own = EDITOR_NODES.get(type);
  const base = { saved, id, info: undefined, widgets: [] };
  if (own !== undefined) {
    const inputs = own === 'reroute' ? [createInput('', '*')] : [];
    return { ...base, kind: own, inputs, outputTypes: saved.outputTypes };
  }
  const definition = definitions.get(type);
  if (definition !== undefined) {
    const inputs = definition.inputs.map((port) => createInput(port.name, port.type));
    const outputTypes = definition.outputs.map((port) => port.type);
    return { ...base, kind: 'instance', inputs, outputTypes };
  }
  const info = Object.hasOwn(objectInfo, type) ? objectInfo[type] : undefined;
  if (info === undefined) {
    const inputs = saved.inputs.map((input) => createInput(input.name, input.type));
    return { ...base, kind: 'unknown', inputs, outputTypes: saved.outputTypes };
  }
  // Catalogues of foreign backends may lack the list.
  const outputTypes = (Array.isArray(info.output) ? info.output : []).map(outputType);
  return { saved, id, kind: 'class', info, ...readWidgets(info, saved), outputTypes };
}

export function createInput(name: string, type: string, widget?: Widget): LiveInput {
  return { name, type, widget, link: undefined, isPromoted: false, hostValue: undefined };
}
