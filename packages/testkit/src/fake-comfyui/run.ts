import { setTimeout as sleep } from 'node:timers/promises';
import type { JsonObject, PromptGraph, UiOutput } from '@tiercel/contracts';
import type { Faults } from './faults.ts';
import { str } from './python-text.ts';
import type { FakeSockets } from './sockets.ts';

/** A prompt in the queue. */
export interface QueueItem {
  readonly number: number;
  readonly promptId: string;
  readonly prompt: PromptGraph;
  readonly extraData: JsonObject;
  /** The output nodes to execute. */
  readonly outputs: readonly string[];
}

/** What becomes the history entry. */
export interface RunResult {
  readonly outputs: Readonly<Record<string, UiOutput>>;
  readonly meta: JsonObject;
  readonly status: {
    readonly status_str: 'success' | 'error';
    readonly completed: boolean;
    readonly messages: readonly (readonly [string, JsonObject])[];
  };
}

/** The run was interrupted. */
export class Interrupted extends Error {}
/** The server died, or forgot the run: nothing more may be told of it. */
export class Vanished extends Error {}

const PAUSE_POLL_MS = 5;

/** One prompt being executed: whom it tells what, and whether it may go on. */
export class Run {
  readonly item: QueueItem;
  /** undefined: the prompt had no client_id. */
  readonly sid: string | undefined;
  readonly messages: (readonly [string, JsonObject])[] = [];
  readonly #sockets: FakeSockets;
  readonly #faults: Faults;
  readonly #die: () => void;
  #steps = 0;
  #isInterrupted = false;
  #isVanished = false;

  constructor(item: QueueItem, world: { sockets: FakeSockets; faults: Faults; die: () => void }) {
    this.item = item;
    const { client_id: clientId } = item.extraData;
    this.sid = clientId === undefined || clientId === null ? undefined : str(clientId);
    this.#sockets = world.sockets;
    this.#faults = world.faults;
    this.#die = world.die;
  }

  /** A message that history keeps; a prompt without client_id sends only `broadcast` ones. */
  emitFrame(type: string, data: JsonObject, broadcast = false): void {
    const message = { ...data, timestamp: Date.now() };
    this.messages.push([type, message]);
    if (this.sid !== undefined || broadcast) this.#sockets.send(type, message, this.sid);
  }

  /** A message for the client alone. */
  send(type: string, data: unknown): void {
    if (this.sid !== undefined) this.#sockets.send(type, data, this.sid);
  }

  interrupt(): void {
    this.#isInterrupted = true;
  }

  vanish(): void {
    this.#isVanished = true;
  }

  /** @throws Interrupted, Vanished */
  async checkpoint(): Promise<void> {
    while (this.#faults.isPaused && !this.#isInterrupted && !this.#isVanished) {
      await sleep(PAUSE_POLL_MS);
    }
    if (this.#isVanished) throw new Vanished();
    if (this.#isInterrupted) throw new Interrupted();
  }

  countStep(): void {
    this.#steps += 1;
    this.dieIfDue();
  }

  /** @throws Vanished when this is the end of the server, or was */
  dieIfDue(isEnd = false): void {
    if (this.#isVanished) throw new Vanished();
    if (!this.#faults.takeDeath(isEnd ? 'end' : this.#steps)) return;
    this.#die();
    throw new Vanished();
  }
}
