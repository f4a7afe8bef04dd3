import { createHash } from 'node:crypto';
import { isLink, stringifyJson, type PromptGraph, type UiOutput } from '@tiercel/contracts';
import type { NodeValue } from './node-class.ts';

export interface CachedNode {
  readonly outputs: readonly NodeValue[];
  readonly ui: UiOutput | undefined;
}

/**
 * ComfyUI's classic cache: a node's results are found again by its class and inputs, back to the
 * beginning of the graph, and only those that the last prompt has are kept.
 */
export class NodeCache {
  #entries = new Map<string, CachedNode>();
  #signatures = new Map<string, string>();

  /** Takes up a new prompt. @param salt makes a node differ whose inputs do not: its id, a file's content */
  prepare(graph: PromptGraph, salt: (nodeId: string) => string): void {
    const signatures = new Map<string, string>();
    const sign = (nodeId: string): string => {
      const known = signatures.get(nodeId);
      if (known !== undefined) return known;
      signatures.set(nodeId, `in a cycle: ${nodeId}`);
      const node = graph[nodeId];
      const inputs = Object.entries(node?.inputs ?? {})
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, value]) => [name, isLink(value) ? ['from', sign(value[0]), value[1]] : value]);
      const text = stringifyJson([node?.class_type, salt(nodeId), inputs]);
      const signature = createHash('sha1').update(text).digest('hex');
      signatures.set(nodeId, signature);
      return signature;
    };
    for (const nodeId of Object.keys(graph)) sign(nodeId);
    const kept = new Set(signatures.values());
    this.#signatures = signatures;
    this.#entries = new Map([...this.#entries].filter(([signature]) => kept.has(signature)));
  }

  get(nodeId: string): CachedNode | undefined {
    return this.#entries.get(this.#signatures.get(nodeId) ?? '');
  }

  set(nodeId: string, entry: CachedNode): void {
    this.#entries.set(this.#signatures.get(nodeId) ?? '', entry);
  }

  clear(): void {
    this.#entries.clear();
  }
}
