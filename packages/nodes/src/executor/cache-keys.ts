import { createHash } from 'node:crypto';
import { stringifyJson } from '@tiercel/contracts';
import { sortBySources } from '@tiercel/graph';
import type { FingerprintContext } from '../node-definition.ts';
import type { RunnableNode, RunnableNodes } from './runnable-nodes.ts';

/**
 * A key for every node whose result may be reused: its class, its values, its fingerprint and the keys of the
 * nodes it is linked to. Nodes with the same key give the same result, in any job. Nodes that always change, and
 * all that depend on them, have no key. Hidden inputs do not count, but a node that asks for its own id is keyed
 * by it, as in ComfyUI.
 */
export async function computeCacheKeys(
  nodes: RunnableNodes,
  source: Omit<FingerprintContext, 'nodeId'>,
): Promise<Map<string, string>> {
  const keys = new Map<string, string>();
  const sourcesOf = (id: string) => (nodes.get(id)?.links ?? []).map(({ from }) => from).reverse();
  for (const id of sortBySources(nodes.keys(), sourcesOf)) {
    const node = nodes.get(id);
    const key = node && (await computeKey(node, keys, source));
    if (key !== undefined) keys.set(id, key);
  }
  return keys;
}

async function computeKey(
  node: RunnableNode,
  keys: ReadonlyMap<string, string>,
  source: Omit<FingerprintContext, 'nodeId'>,
): Promise<string | undefined> {
  if (node.problem) return undefined;
  const inputs: [name: string, ...rest: unknown[]][] = [];
  for (const [name, value] of node.values) inputs.push([name, value]);
  for (const { input, from, slot } of node.links) {
    const key = keys.get(from);
    if (key === undefined) return undefined;
    inputs.push([input, key, slot]);
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
  node: RunnableNode,
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
