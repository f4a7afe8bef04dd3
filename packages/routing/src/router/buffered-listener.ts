import type { UiOutput, WireEvent } from '@tiercel/contracts';
import type { AttemptListener, PreviewPicture, StoredPicture } from '../backend.ts';

/**
 * One of two attempts at once speaks through this. What the second one says is buffered while
 * the first one still may win; progress is not kept: when the attempt wins, it is old. The one that has
 * lost is not passed on any more, however long it takes to stop.
 */
export class BufferedListener implements AttemptListener {
  readonly #listener: AttemptListener;
  /** Undefined: it is passed on. */
  #buffered: (() => void)[] | undefined;
  #isSilenced = false;

  constructor(listener: AttemptListener, { isBuffered }: { isBuffered: boolean }) {
    this.#listener = listener;
    this.#buffered = isBuffered ? [] : undefined;
  }

  /** It has won: what it said is said now, in its order. */
  release(): void {
    if (this.#buffered === undefined) return;
    const buffered = this.#buffered;
    this.#buffered = undefined;
    this.#listener.runBegins();
    for (const say of buffered) say();
  }

  /** It has lost. */
  silence(): void {
    this.#isSilenced = true;
    this.#buffered = [];
  }

  runBegins(): void {
    this.#say(() => {
      this.#listener.runBegins();
    });
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
    if (this.#buffered === undefined) {
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
    const shown = this.#buffered === undefined ? preview : undefined;
    this.#say(() => {
      this.#listener.relay(events, shown);
    });
  }

  picture(nodeId: string, picture: StoredPicture): void {
    this.#say(() => {
      this.#listener.picture(nodeId, picture);
    });
  }

  text(nodeId: string, text: string): void {
    if (this.#buffered === undefined) this.#listener.text(nodeId, text);
  }

  #say(say: () => void): void {
    if (this.#buffered === undefined) say();
    else if (!this.#isSilenced) this.#buffered.push(say);
  }
}
