import type { IncomingMessage } from 'node:http';
import { readBytes } from '../http/read-body.ts';

/** A body as it is handed on. */
export type Body =
  | { readonly kind: 'small'; readonly bytes: Buffer }
  /** Whole buffers of their own, to be given away to another thread; only this much of the last is used. */
  | { readonly kind: 'large'; readonly blocks: readonly Uint8Array<ArrayBuffer>[] };

/** Up to here parsing takes 10 ms at worst, which is less than a thread's start and no more than any route's work. */
export const SMALL_BYTES = 256 * 1024;
const BLOCK_BYTES = 4 * 1024 * 1024;

/**
 * Reads a body that may be large. What is beyond the small is copied into blocks as it comes: joining a
 * hundred megabytes at its end would keep every other request waiting.
 * @throws AppError body_too_large, unsupported_encoding, bad_request
 */
export async function readBlocks(req: IncomingMessage, maxBytes: number): Promise<Body> {
  const collector = new BlockCollector();
  await readBytes(req, maxBytes, (chunk) => {
    collector.add(chunk);
  });
  return collector.finish();
}

class BlockCollector {
  #small: Buffer[] | undefined = [];
  #size = 0;
  readonly #blocks: Uint8Array<ArrayBuffer>[] = [];
  /** Bytes used of the last block. */
  #used = BLOCK_BYTES;

  add(chunk: Buffer): void {
    this.#size += chunk.length;
    if (this.#small !== undefined) {
      this.#small.push(chunk);
      if (this.#size <= SMALL_BYTES) return;
      for (const piece of this.#small) this.#copy(piece);
      this.#small = undefined;
    } else {
      this.#copy(chunk);
    }
  }

  #copy(chunk: Buffer): void {
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#used === BLOCK_BYTES) {
        this.#blocks.push(new Uint8Array(BLOCK_BYTES));
        this.#used = 0;
      }
      const piece = rest.subarray(0, BLOCK_BYTES - this.#used);
      this.#blocks.at(-1)?.set(piece, this.#used);
      this.#used += piece.length;
      rest = rest.subarray(piece.length);
    }
  }

  finish(): Body {
    if (this.#small !== undefined) {
      const [first, second] = this.#small;
      const isOne = first !== undefined && second === undefined;
      return { kind: 'small', bytes: isOne ? first : Buffer.concat(this.#small) };
    }
    const last = this.#blocks.pop()?.subarray(0, this.#used);
    return { kind: 'large', blocks: last === undefined ? [] : [...this.#blocks, last] };
  }
}
