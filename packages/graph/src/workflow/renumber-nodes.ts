import type { SavedDefinition, SavedGraph, SavedNode, SavedWorkflow } from './saved-workflow.ts';

/**
 * Gives each node of the file and of its subgraphs an id of its own, as the editor does when it loads it: the
 * file's own nodes keep theirs, subgraphs follow in the order of the file, and an id that is taken becomes the
 * next free one above the last that was ever given.
 */
export function renumberNodes(workflow: SavedWorkflow): RenumberedWorkflow {
  const ids = new IdSource(workflow.lastNodeId);
  for (const { id } of workflow.nodes) ids.take(id);
  const originalIds = new Map<SavedNode, string>();
  const definitions = workflow.definitions.map((definition) =>
    renumberGraph(definition, ids, originalIds),
  );
  return { ...workflow, definitions, lastNodeId: ids.last, originalIds };
}

export interface RenumberedWorkflow extends SavedWorkflow {
  /** The id in the file of each node that has another one now. */
  readonly originalIds: ReadonlyMap<SavedNode, string>;
}

function renumberGraph(
  definition: SavedDefinition,
  ids: IdSource,
  originalIds: Map<SavedNode, string>,
): SavedDefinition {
  const renamed = new Map<string, string>();
  const nodes = definition.nodes.map((node) => {
    const id = ids.take(node.id);
    if (id === node.id) return node;
    renamed.set(node.id, id);
    const fresh = { ...node, id };
    originalIds.set(fresh, node.id);
    return fresh;
  });
  if (renamed.size === 0) return definition;
  return { ...definition, ...moveLinks(definition, renamed), nodes };
}

function moveLinks({ links }: SavedGraph, renamed: ReadonlyMap<string, string>) {
  const newId = (id: string) => renamed.get(id) ?? id;
  return { links: links.map((link) => ({ ...link, from: newId(link.from), to: newId(link.to) })) };
}

/** Hands out ids that no node has yet. */
export class IdSource {
  readonly #taken = new Set<string>();
  #last: number;

  constructor(last: number) {
    this.#last = last;
  }

  get last(): number {
    return this.#last;
  }

  /** @returns this id, or another one when it is taken */
  take(id: string): string {
    if (this.#taken.has(id)) return this.next();
    this.#taken.add(id);
    return id;
  }

  next(): string {
    do this.#last += 1;
    while (this.#taken.has(String(this.#last)));
    const id = String(this.#last);
    this.#taken.add(id);
    return id;
  }
}
