import type { NodeMeta, UiOutput, WireEvent } from '@tiercel/contracts';
import type { AttemptListener, PartialResult, PreviewPicture } from '@tiercel/routing';

/** How long a `progress_state` waits for the preview and the progress that belong to it. */
const HOLD_MS = 30;

/**
 * Passes a server's frames on in their order. A preview and its `progress_state` and `progress` are put
 * together again: each socket gets the picture where its client expects it.
 */
export class FrameRelay {
  readonly #listener: AttemptListener;
  #held: WireEvent | undefined;
  #preview: { nodeId: string; picture: PreviewPicture } | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(listener: AttemptListener) {
    this.#listener = listener;
  }

  add(event: WireEvent): void {
    if (event.type === 'progress') {
      this.#release([event]);
      return;
    }
    this.flush();
    if (event.type !== 'progress_state') {
      this.#listener.relay([event]);
      return;
    }
    this.#held = event;
    this.#timer = setTimeout(() => {
      this.flush();
    }, HOLD_MS);
  }

  addPreview(nodeId: string, picture: PreviewPicture): void {
    if (this.#preview !== undefined) this.flush();
    this.#preview = { nodeId, picture };
  }

  flush(): void {
    if (this.#held !== undefined || this.#preview !== undefined) this.#release([]);
  }

  #release(events: readonly WireEvent[]): void {
    clearTimeout(this.#timer);
    const held = this.#held === undefined ? [] : [this.#held];
    const preview = this.#preview;
    this.#held = undefined;
    this.#preview = undefined;
    this.#listener.relay([...held, ...events], preview);
  }
}

/**
 * A frame of a server with its prompt id replaced by the caller's: at `data.prompt_id`, and in each
 * node of `progress_state`. Nothing else of the frame is touched.
 */
export function mapPromptId(data: object, from: string, to: string): object {
  const source = data as Record<string, unknown>;
  const mapped: Record<string, unknown> = { ...source };
  if (source.prompt_id === from) mapped.prompt_id = to;
  if (typeof source.nodes === 'object' && source.nodes !== null && !Array.isArray(source.nodes)) {
    mapped.nodes = Object.fromEntries(
      Object.entries(source.nodes).map(([id, state]: [string, unknown]) => [
        id,
        typeof state === 'object' && state !== null ? mapPromptId(state, from, to) : state,
      ]),
    );
  }
  return mapped;
}

/** What a server's frames tell of a node; more than its id only inside an expanded sub-graph. */
interface Identity {
  readonly display: string | undefined;
  readonly parent: string | null;
  readonly real: string | undefined;
}

/**
 * What the nodes of one prompt have shown so far, with the identities that their frames carried: a prompt that does
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

  /** Whether frames have said which node each was that has shown something. */
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
