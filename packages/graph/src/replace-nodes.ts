import {
  isJsonObject,
  joinMembers,
  sliceMembers,
  stringifyJson,
  type JsonObject,
  type JsonValue,
  type ObjectInfo,
} from '@tiercel/contracts';
import { readNodes, type GraphNode } from './graph-nodes.ts';

export interface Successors {
  readonly objectInfo: ObjectInfo;
  /** As GET /node_replacements tells them: old class -> list, of which the first counts. */
  readonly replacements: JsonObject;
}

/** One entry of a list of replacements, read leniently: it comes from extensions. */
interface Replacement {
  readonly newClass: string;
  readonly inputs: readonly JsonObject[];
  /** Old slot -> new slot. */
  readonly slots: ReadonlyMap<number, number>;
}

/**
 * Puts its successor in the place of each node whose class nobody has, as ComfyUI (0.24) does before it validates:
 * inputs are renamed or set, and links from it get the successor's slots. Only these nodes' text changes. An input
 * that the old node does not have is left out.
 * @returns the new text; undefined when there is nothing to replace
 */
export function replaceNodes(
  prompt: JsonValue,
  promptText: string,
  { objectInfo, replacements }: Successors,
): string | undefined {
  const chosen = new Map<string, Replacement>();
  const nodes = readNodes(prompt);
  for (const { nodeId, classType: name } of nodes.values()) {
    if (Object.hasOwn(objectInfo, name)) continue;
    const listed = Object.hasOwn(replacements, name) ? replacements[name] : undefined;
    const replacement = readFirst(listed);
    // A successor that nobody has either would only confuse: the caller is told of the class that he named.
    if (replacement === undefined || !Object.hasOwn(objectInfo, replacement.newClass)) continue;
    chosen.set(nodeId, replacement);
  }
  if (chosen.size === 0) return undefined;
  const texts = sliceMembers(promptText);
  for (const node of nodes.values()) {
    const changed = rewriteNode(texts.get(node.nodeId) ?? '{}', node, chosen);
    if (changed !== undefined) texts.set(node.nodeId, changed);
  }
  return joinMembers(texts);
}

/** The new text of one node; undefined when it stays as it is. */
function rewriteNode(
  nodeText: string,
  node: GraphNode,
  chosen: ReadonlyMap<string, Replacement>,
): string | undefined {
  const replacement = chosen.get(node.nodeId);
  const members = sliceMembers(nodeText);
  const inputs = sliceMembers(members.get('inputs') ?? '{}');
  const moved = moveLinks(inputs, node, chosen);
  if (replacement === undefined && !moved) return undefined;
  if (replacement !== undefined) {
    members.set('class_type', JSON.stringify(replacement.newClass));
    members.set('inputs', joinMembers(mapInputs(inputs, replacement.inputs)));
  } else {
    members.set('inputs', joinMembers(inputs));
  }
  return joinMembers(members);
}

/** Links to replaced nodes get the slots of their successors. @returns whether there were any */
function moveLinks(
  inputs: Map<string, string>,
  { links }: GraphNode,
  chosen: ReadonlyMap<string, Replacement>,
): boolean {
  let moved = false;
  for (const { input, from, slot } of links) {
    const newSlot = chosen.get(from)?.slots.get(slot);
    if (newSlot === undefined || newSlot === slot) continue;
    inputs.set(input, stringifyJson([from, newSlot]));
    moved = true;
  }
  return moved;
}

function mapInputs(
  inputs: ReadonlyMap<string, string>,
  mapping: readonly JsonObject[],
): Map<string, string> {
  const mapped = new Map<string, string>();
  for (const { new_id: newId, old_id: oldId, set_value: value } of mapping) {
    if (typeof newId !== 'string') continue;
    const old = typeof oldId === 'string' ? inputs.get(oldId) : undefined;
    const text = value === undefined ? old : stringifyJson(value);
    if (text !== undefined) mapped.set(newId, text);
  }
  return mapped;
}

function readFirst(list: JsonValue | undefined): Replacement | undefined {
  const [first] = listOf(list);
  if (typeof first?.new_node_id !== 'string') return undefined;
  const slots = listOf(first.output_mapping).flatMap(({ old_idx: from, new_idx: to }) =>
    typeof from === 'number' && typeof to === 'number' ? [[from, to] as const] : [],
  );
  return {
    newClass: first.new_node_id,
    inputs: listOf(first.input_mapping),
    slots: new Map(slots),
  };
}

function listOf(value: JsonValue | undefined): readonly JsonObject[] {
  return Array.isArray(value) ? value.filter((item: JsonValue) => isJsonObject(item)) : [];
}
