import { encodePreview, encodePreviewWithMetadata } from './frames-out.ts';
import type { FakeSockets } from './sockets.ts';

interface NodeState {
  value: number;
  max: number;
  state: 'running' | 'finished';
}

/**
 * `progress_state`, `progress` and previews of one run, in ComfyUI 0.3.64's order: the preview comes
 * after `progress` as event 1 and before it as event 4 (wire 4.6).
 */
export class RunProgress {
  readonly #sockets: FakeSockets;
  readonly #promptId: string;
  readonly #sid: string | undefined;
  readonly #nodes = new Map<string, NodeState>();

  /** @param sid undefined: everyone sees the progress of a prompt without a client_id */
  constructor(sockets: FakeSockets, promptId: string, sid: string | undefined) {
    this.#sockets = sockets;
    this.#promptId = promptId;
    this.#sid = sid;
  }

  start(nodeId: string): void {
    this.#nodes.set(nodeId, { value: 0, max: 1, state: 'running' });
    this.#sendState();
  }

  update(nodeId: string, value: number, max: number, preview: Buffer | undefined): void {
    this.#nodes.set(nodeId, { value, max, state: 'running' });
    this.#sendState();
    const isEmitted = this.#sockets.wantsMetadata(this.#sid);
    const promptId = this.#promptId;
    if (preview !== undefined && isEmitted) {
      this.#sockets.sendFrame(encodePreviewWithMetadata(preview, { nodeId, promptId }), this.#sid);
    }
    this.#sockets.send('progress', { value, max, prompt_id: promptId, node: nodeId }, this.#sid);
    if (preview !== undefined && !isEmitted) {
      this.#sockets.sendFrame(encodePreview(preview), this.#sid);
    }
  }

  finish(nodeId: string): void {
    const max = this.#nodes.get(nodeId)?.max ?? 1;
    this.#nodes.set(nodeId, { value: max, max, state: 'finished' });
    this.#sendState();
  }

  #sendState(): void {
    const nodes = [...this.#nodes].map(([id, { value, max, state }]) => [
      id,
      {
        ...{ value, max, state, node_id: id, prompt_id: this.#promptId },
        ...{ display_node_id: id, parent_node_id: null, real_node_id: id },
      },
    ]);
    const data = { prompt_id: this.#promptId, nodes: Object.fromEntries(nodes) as unknown };
    this.#sockets.send('progress_state', data, this.#sid);
  }
}
