import { setImmediate as yieldToEvents, setTimeout as sleep } from 'node:timers/promises';
import { stringifyJson, parseJson, type JsonObject, type JsonValue } from '@tiercel/contracts';
import type { Executor } from './executor.ts';
import type { Faults } from './faults.ts';
import { PromptHeap } from './heap.ts';
import type { FakeHistory } from './history.ts';
import type { FakeSettings } from './options.ts';
import { Vanished, type QueueItem } from './run.ts';
import type { FakeSockets } from './sockets.ts';

const PAUSE_POLL_MS = 5;

export interface QueueWorld {
  readonly settings: FakeSettings;
  readonly executor: Executor;
  readonly history: FakeHistory;
  readonly sockets: FakeSockets;
  readonly faults: Faults;
}

/** The queue with its one worker: `status` is broadcast at every change (wire 2.10). */
export class PromptQueue {
  readonly #heap = new PromptHeap<QueueItem>();
  readonly #world: QueueWorld;
  #running: QueueItem | undefined;
  #isWorking = false;
  #isClosed = false;

  constructor(world: QueueWorld) {
    this.#world = world;
  }

  get remaining(): number {
    return this.#heap.items.length + (this.#running === undefined ? 0 : 1);
  }

  put(item: QueueItem): void {
    this.#heap.push(item);
    this.#announce();
    void this.#work();
  }

  /** As GET /queue shows it: the pending ones in the order of the heap. */
  describe(): JsonObject {
    const running = this.#running === undefined ? [] : [this.#running];
    return {
      queue_running: running.map(toTuple),
      queue_pending: this.#heap.items.map(toTuple),
    };
  }

  clear(): void {
    this.#heap.clear();
    this.#announce();
  }

  delete(ids: readonly string[]): void {
    for (const id of ids) {
      const isLast = this.#heap.items.length === 1;
      if (!this.#heap.remove(({ promptId }) => promptId === id)) continue;
      this.#announce();
      if (isLast) this.#announce(); // ComfyUI wipes the queue and tells that too
    }
  }

  /** @param promptId undefined: whatever runs */
  interrupt(promptId: string | undefined): void {
    if (promptId !== undefined && this.#running?.promptId !== promptId) return;
    if (this.#running !== undefined && this.#world.faults.takeIgnoredInterrupt()) return;
    this.#world.executor.interrupt();
  }

  /** Everything pending and running is gone without a word, as after a restart. */
  forget(): void {
    this.#heap.clear();
    this.#running = undefined;
    this.#world.executor.forget();
  }

  close(): void {
    this.#isClosed = true;
    this.forget();
  }

  #announce(): void {
    this.#world.sockets.broadcastStatus(this.remaining);
  }

  async #work(): Promise<void> {
    if (this.#isWorking) return;
    this.#isWorking = true;
    try {
      while (!this.#isClosed && this.#heap.items.length > 0) {
        await yieldToEvents(); // the answer to POST /prompt goes first
        await this.#waitWhilePaused();
        const item = this.#heap.pop();
        if (item !== undefined) await this.#runOne(item);
      }
    } finally {
      this.#isWorking = false;
    }
  }

  async #waitWhilePaused(): Promise<void> {
    while (this.#world.faults.isPaused) {
      if (this.#isClosed) return;
      await sleep(PAUSE_POLL_MS);
    }
  }

  async #runOne(item: QueueItem): Promise<void> {
    const { executor, history, sockets, settings } = this.#world;
    this.#running = item;
    this.#announce();
    try {
      const result = await executor.execute(item);
      if (settings.historyMs > 0) await sleep(settings.historyMs);
      // A copy by way of text, as Python's history is one of its own.
      const entry = parseJson(stringifyJson({ prompt: toTuple(item), ...result }));
      history.add(item.promptId, entry as JsonObject); // an object, as above
    } catch (error) {
      if (!(error instanceof Vanished)) throw error;
      return;
    }
    this.#running = undefined;
    this.#announce();
    const { client_id: sid } = item.extraData;
    if (typeof sid === 'string') {
      sockets.send('executing', { node: null, prompt_id: item.promptId }, sid);
    }
  }
}

function toTuple(item: QueueItem): JsonValue {
  const { number, promptId, prompt, extraData, outputs } = item;
  // A graph is JSON, but an interface is no JsonObject to TypeScript.
  return [number, promptId, prompt as unknown as JsonObject, extraData, [...outputs]];
}
