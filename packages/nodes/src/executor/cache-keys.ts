import { createHash } from 'node:crypto';
import { stringifyJson } from '@tiercel/contracts';
import type { FingerprintContext } from '../node-definition.ts';
import type { GraphNode } from './graph-nodes.ts';

/**
 * A key for every node whose result may be reused: its class, its values, its fingerprint and the keys of the
 * nodes it is linked to. Nodes with the same key give the same result, in any job. Nodes that always change, and
 * all that depend on them, have no key. Hidden inputs do not count, but a node that asks for its own id is keyed
 * by it, as in ComfyUI.
 */
export async function computeCacheKeys(
  nodes: ReadonlyMap<string, GraphNode>,
  source: Omit<FingerprintContext, 'nodeId'>,
): Promise<Map<string, string>> {
  const keys = new Map<string, string>();
  const open = new Set<string>();
  const done = new Set<string>();
  for (const root of nodes.keys()) {
    const stack = [root];
    for (let id = stack.at(-1); id !== undefined; id = stack.at(-1)) {
      const node = nodes.get(id);
      if (!node || done.has(id)) {
        stack.pop();
        continue;
      }
      if (open.has(id)) {
        stack.pop();
        done.add(id);
        const key = await computeKey(node, keys, source);
        if (key !== undefined) keys.set(id, key);
        continue;
      }
      open.add(id);
      for (const { from } of node.links) if (!open.has(from)) stack.push(from);
    }
  }
  return keys;
}

async function computeKey(
  node: GraphNode,
  keys: ReadonlyMap<string, string>,
  source: Omit<FingerprintContext, 'nodeId'>,
): Promise<string | undefined> {
  if (node.problem) return undefined;
  const inputs: [name: string, ...rest: unknown[]][] = [];
  for (const [name, value] of node.values) inputs.push([name, value]);
  for (const { name, from, slot } of node.links) {
    const key = keys.get(from);
    if (key === undefined) return undefined;
    inputs.push([name, key, slot]);
  }
  inputs.sort(([a], [b]) => (a < b ? -1 : 1));

  const fingerprint = await takeFingerprint(node, source);
  if (fingerprint === undefined) return undefined;
  const wantsId = Object.values(node.definition.input.hidden ?? {}).includes('UNIQUE_ID');
  const material = stringifyJson([node.classType, wantsId ? node.id : null, fingerprint, inputs]);
  return createHash('sha256').update(material).digest('base64');
}

/** JSON text, empty for a node without a fingerprint; undefined when the node counts as always changed. */
async function takeFingerprint(
  node: GraphNode,
  source: Omit<FingerprintContext, 'nodeId'>,
): Promise<string | undefined> {
  if (!node.definition.fingerprint) return '';
  try {
    const value = await node.definition.fingerprint(Object.fromEntries(node.values), {
      ...source,
      nodeId: node.id,
    });
    if (Number.isNaN(value)) return undefined;
    return value === undefined ? '' : stringifyJson(value);
  } catch {
    // As ComfyUI: a failing IS_CHANGED means changed. If the cause is real, `run` will report it.
    return undefined;
  }
}
