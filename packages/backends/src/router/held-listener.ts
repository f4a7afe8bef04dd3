import type { UiOutput, WireEvent } from '@tiercel/contracts';
import type { AttemptListener, PreviewPicture } from '../backend.ts';

/**
 * Holds back what a second attempt says while the first one still may win. Progress is not kept: when the
 * attempt wins, it is old.
 */
export class HeldListener implements AttemptListener {
  readonly #listener: AttemptListener;
  #held: (() => void)[] | undefined = [];

  constructor(listener: AttemptListener) {
    this.#listener = listener;
  }

  /** It has won: what it said is said now, in its order. */
  release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const say of held) say();
  }

  cached(nodeIds: readonly string[]): void {
    this.#say(() => {
      this.#listener.cached(nodeIds);
    });
  }

  nodeStarted(nodeId: string): void {
    this.#say(() => {
      this.#listener.nodeStarted(nodeId);
    });
  }

  progress(
    nodeId: string,
    value: number,
    max: number,
    preview?: PreviewPicture,
    isEstimated?: boolean,
  ): void {
    if (this.#held === undefined) {
      this.#listener.progress(nodeId, value, max, preview, isEstimated);
    }
  }

  executed(nodeId: string, output: UiOutput | null): void {
    this.#say(() => {
      this.#listener.executed(nodeId, output);
    });
  }

  nodeFinished(nodeId: string): void {
    this.#say(() => {
      this.#listener.nodeFinished(nodeId);
    });
  }

  relay(events: readonly WireEvent[], preview?: { nodeId: string; picture: PreviewPicture }): void {
    const shown = this.#held === undefined ? preview : undefined;
    this.#say(() => {
      this.#listener.relay(events, shown);
    });
  }

  text(nodeId: string, text: string): void {
    if (this.#held === undefined) this.#listener.text(nodeId, text);
  }

  #say(say: () => void): void {
    if (this.#held === undefined) say();
    else this.#held.push(say);
  }
}
