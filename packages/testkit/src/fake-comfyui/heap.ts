/** What a pending prompt is ordered by: its number, then its id, as Python compares tuples. */
export interface Ordered {
  readonly number: number;
  readonly promptId: string;
}

function isBefore(a: Ordered, b: Ordered): boolean {
  return a.number === b.number ? a.promptId < b.promptId : a.number < b.number;
}

/**
 * Python's heap. GET /queue shows its inside, which is not sorted (wire 7.2): who wants the order
 * of execution has to sort by number.
 */
export class PromptHeap<T extends Ordered> {
  readonly #items: T[] = [];

  get items(): readonly T[] {
    return this.#items;
  }

  push(item: T): void {
    this.#items.push(item);
    this.#siftUp(this.#items.length - 1);
  }

  pop(): T | undefined {
    const first = this.#items[0];
    const last = this.#items.pop();
    if (last !== undefined && this.#items.length > 0) {
      this.#items[0] = last;
      this.#siftDown(0);
    }
    return first;
  }

  /** Removes the first item that fits. @returns whether there was one */
  remove(fits: (item: T) => boolean): boolean {
    const index = this.#items.findIndex(fits);
    if (index === -1) return false;
    this.#items.splice(index, 1);
    for (let at = (this.#items.length >> 1) - 1; at >= 0; at -= 1) this.#siftDown(at);
    return true;
  }

  clear(): void {
    this.#items.length = 0;
  }

  #siftUp(start: number): void {
    for (let at = start; at > 0;) {
      const parent = (at - 1) >> 1;
      if (!this.#swapIfBefore(at, parent)) return;
      at = parent;
    }
  }

  #siftDown(start: number): void {
    for (let at = start; ;) {
      const [left, right] = [2 * at + 1, 2 * at + 2];
      const [a, b] = [this.#items[left], this.#items[right]];
      const child = a !== undefined && b !== undefined && isBefore(b, a) ? right : left;
      if (!this.#swapIfBefore(child, at)) return;
      at = child;
    }
  }

  #swapIfBefore(lower: number, upper: number): boolean {
    const [low, high] = [this.#items[lower], this.#items[upper]];
    if (low === undefined || high === undefined || !isBefore(low, high)) return false;
    this.#items[lower] = high;
    this.#items[upper] = low;
    return true;
  }
}
