import type { UiOutput, WireEvent } from '@tiercel/contracts';
import type { AttemptListener, PreviewPicture } from '../backend.ts';

/**
 * What the client sees of all attempts of a job together: nodes that an earlier attempt has finished do not
 * start again before its eyes, and what was cached is told once.
 */
export class OneStory implements AttemptListener {
  readonly #listener: AttemptListener;
  readonly #finished = new Set<string>();
  #toldCached = false;

  constructor(listener: AttemptListener) {
    this.#listener = listener;
  }

  cached(nodeIds: readonly string[]): void {
    if (this.#toldCached) return;
    this.#toldCached = true;
    this.#listener.cached(nodeIds);
  }

  nodeStarted(nodeId: string): void {
    if (!this.#finished.has(nodeId)) this.#listener.nodeStarted(nodeId);
  }

  progress(
    nodeId: string,
    value: number,
    max: number,
    preview?: PreviewPicture,
    isEstimated?: boolean,
  ): void {
    if (this.#finished.has(nodeId)) return;
    this.#listener.progress(nodeId, value, max, preview, isEstimated);
  }

  executed(nodeId: string, output: UiOutput | null): void {
    this.#listener.executed(nodeId, output);
  }

  nodeFinished(nodeId: string): void {
    if (this.#finished.has(nodeId)) return;
    this.#finished.add(nodeId);
    this.#listener.nodeFinished(nodeId);
  }

  relay(events: readonly WireEvent[], preview?: { nodeId: string; picture: PreviewPicture }): void {
    this.#listener.relay(events, preview);
  }

  text(nodeId: string, text: string): void {
    this.#listener.text(nodeId, text);
  }
}
