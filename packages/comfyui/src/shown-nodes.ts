import type { NodeMeta, UiOutput } from '@tiercel/contracts';
import type { PartialResult } from '@tiercel/routing';

/** What a server's frames tell of a node; more than its id only inside an expanded sub-graph. */
interface Identity {
  readonly display: string | undefined;
  readonly parent: string | null;
  readonly real: string | undefined;
}

/**
 * What the nodes of one prompt have shown so far, with the identities that their frames told: a prompt that does
 * not come to its end keeps both in history, as in ComfyUI.
 */
export class ShownNodes {
  readonly #outputs = new Map<string, UiOutput>();
  readonly #identities = new Map<string, Identity>();

  /** `nodes` of a `progress_state`. */
  noteStates(nodes: unknown): void {
    if (typeof nodes !== 'object' || nodes === null) return;
    for (const [nodeId, state] of Object.entries(nodes)) {
      if (this.#identities.has(nodeId) || typeof state !== 'object' || state === null) continue;
      const { display_node_id, parent_node_id, real_node_id } = state as Record<string, unknown>;
      this.#identities.set(nodeId, {
        display: textOf(display_node_id),
        parent: textOf(parent_node_id) ?? null,
        real: textOf(real_node_id),
      });
    }
  }

  has(nodeId: string): boolean {
    return this.#outputs.has(nodeId);
  }

  add(nodeId: string, output: UiOutput): void {
    this.#outputs.set(nodeId, output);
  }

  /** Whether frames have told which node each was that has shown something. */
  get isIdentified(): boolean {
    return [...this.#outputs.keys()].every((nodeId) => this.#identities.has(nodeId));
  }

  get outputs(): Readonly<Record<string, UiOutput>> {
    return Object.fromEntries(this.#outputs);
  }

  read(): PartialResult {
    const meta = [...this.#outputs.keys()].map((id): [string, NodeMeta] => {
      const { display = id, parent = null, real = id } = this.#identities.get(id) ?? {};
      return [id, { node_id: id, display_node: display, parent_node: parent, real_node_id: real }];
    });
    return { outputs: this.outputs, meta: Object.fromEntries(meta) };
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
