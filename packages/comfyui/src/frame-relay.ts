import type { WireEvent } from '@tiercel/contracts';
import type { AttemptListener, PreviewPicture } from '@tiercel/routing';

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
