/** A frame to everybody reaches our sockets one after the other, within this. */
const APART_MS = 50;
/** Then it is forgotten. */
const KEEP_MS = 2_000;
const MAX_KEPT = 256;

/** One of our sockets that hears what is said to it and what is said to everybody. */
type Ear = symbol;

/**
 * Tells which frames of our sockets a server sent to everybody, by one more socket that hears only those. ComfyUI
 * writes a frame to one socket after the other, so that copy may be a moment late.
 */
export class SharedFrames {
  readonly #heard: { readonly raw: string; readonly atMs: number; readonly takers: Set<Ear> }[] =
    [];
  readonly #waiting = new Set<{ raw: string; ear: Ear; found: () => void }>();
  /** Whether the additional socket hears; nothing can be told while it does not. */
  isListening = false;

  /** A frame of the additional socket. */
  note(raw: string): void {
    const nowMs = performance.now();
    const takers = new Set<Ear>();
    for (const waiting of this.#waiting) {
      if (waiting.raw !== raw || takers.has(waiting.ear)) continue;
      takers.add(waiting.ear);
      waiting.found();
    }
    this.#heard.push({ raw, atMs: nowMs, takers });
    while (this.#heard.length > MAX_KEPT || nowMs - (this.#heard[0]?.atMs ?? nowMs) > KEEP_MS) {
      this.#heard.shift();
    }
  }

  /** Whether a frame of one of our sockets was for everybody. Of equal frames each counts. */
  async take(raw: string, ear: Ear): Promise<boolean> {
    const heard = this.#heard.find((frame) => frame.raw === raw && !frame.takers.has(ear));
    if (heard !== undefined) {
      heard.takers.add(ear);
      return true;
    }
    if (!this.isListening) return false;
    return await new Promise((resolve) => {
      const end = (isShared: boolean): void => {
        clearTimeout(late);
        this.#waiting.delete(waiting);
        resolve(isShared);
      };
      const waiting = {
        ...{ raw, ear },
        found: () => {
          end(true);
        },
      };
      const late = setTimeout(() => {
        end(false);
      }, APART_MS);
      this.#waiting.add(waiting);
    });
  }
}
