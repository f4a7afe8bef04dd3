import type { Obstacle } from './lowering.ts';

/** Ids and classes are the caller's: a megabyte of them need not be repeated in each reason. */
const MAX_NAME_CHARS = 100;

/** The node that an obstacle is about. */
export interface NodeName {
  readonly nodeId: string;
  readonly classType: string;
}

/** Obstacles in the order they were found, one of a kind for a node. */
export class ObstacleList {
  readonly #found = new Map<string, Obstacle>();

  /** @param what goes on after the node's name: `applies a LoRA, which image services cannot` */
  add({ nodeId, classType }: NodeName, kind: Obstacle['kind'], what: string): void {
    const key = `${kind} ${nodeId}`;
    if (this.#found.has(key)) return;
    const reason = `${nameNode({ nodeId, classType })} ${what}`;
    this.#found.set(key, { nodeId, classType, kind, reason });
  }

  /** For a class whose results only a model of ComfyUI's own kind could use. */
  addCustom(node: NodeName): void {
    this.add(node, 'custom', 'is of a class that image services do not know');
  }

  list(): readonly Obstacle[] {
    return [...this.#found.values()];
  }
}

/** `node 12 (LoraLoader)` */
export function nameNode({ nodeId, classType }: NodeName): string {
  return `node ${clip(nodeId)} (${clip(classType)})`;
}

function clip(name: string): string {
  return name.length > MAX_NAME_CHARS ? `${name.slice(0, MAX_NAME_CHARS)}...` : name;
}
